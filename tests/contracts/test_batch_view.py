"""Generations of the batch view: whole or not there, promoted and rolled back by a rename."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts import batch_view
from contracts.batch_view import BatchView, Descriptions, Manifest
from contracts.errors import ConfigurationError, IncompatibleState


def _view(generation: int, *, layout: int = 1) -> BatchView:
    manifest = Manifest(
        generation=generation,
        algorithm="ease",
        trained_at="2025-03-03T00:00:00+00:00",
        lake_version=3,
        plays_until=1_741_000_000_000,
        listeners=4,
        tracks=2,
        metrics={"new.hr@10": 0.5},
        layout=layout,
    )
    return BatchView(
        keys=np.array([5, 2**63], np.uint64),
        neighbours=np.array([[1, -1], [0, -1]], np.int32),
        weights=np.array([[0.5, 0], [0.25, 0]], np.float32),
        manifest=manifest,
    )


def test_a_generation_comes_back_as_it_was(tmp_path: Path) -> None:
    assert batch_view.current(tmp_path) is None
    batch_view.write(tmp_path, _view(1))
    assert batch_view.current(tmp_path) is None, "written is not yet in service"
    batch_view.promote(tmp_path, 1)
    assert batch_view.current(tmp_path) == 1
    view = batch_view.read(tmp_path, 1)
    assert view.manifest == _view(1).manifest
    np.testing.assert_array_equal(view.keys, _view(1).keys)
    np.testing.assert_array_equal(view.neighbours, _view(1).neighbours)
    np.testing.assert_array_equal(view.weights, _view(1).weights)
    assert view.descriptions is None


@pytest.mark.parametrize("documents", [[b'{"a":1}', b""], [b"", b""]])
def test_descriptions_come_back_as_they_were(tmp_path: Path, documents: list[bytes]) -> None:
    told = Descriptions(np.array([7, 0], np.uint64), np.array([2**64 - 1, 0], np.uint64), documents)
    batch_view.write(tmp_path, replace(_view(1), descriptions=told))
    found = batch_view.read(tmp_path, 1).descriptions
    assert found is not None
    assert found.documents == documents
    assert found.id_keys.tolist() == [7, 0]
    assert found.artist_keys.tolist() == [2**64 - 1, 0]


def test_rolling_back_and_pruning_keep_what_is_in_service(tmp_path: Path) -> None:
    for generation in range(1, 6):
        batch_view.write(tmp_path, _view(generation))
        batch_view.promote(tmp_path, generation)
    batch_view.promote(tmp_path, 1)
    batch_view.prune(tmp_path, keep=2)
    assert batch_view.current(tmp_path) == 1
    assert batch_view.generations(tmp_path) == [1, 4, 5]
    with pytest.raises(ConfigurationError, match="batch view 3 is not in"):
        batch_view.promote(tmp_path, 3)


def test_a_torn_or_foreign_generation_is_refused(tmp_path: Path) -> None:
    batch_view.write(tmp_path, _view(1))
    arrays = tmp_path / "1" / "neighbours.npz"
    arrays.write_bytes(arrays.read_bytes()[:100])
    with pytest.raises(IncompatibleState, match="cannot be read"):
        batch_view.read(tmp_path, 1)
    batch_view.write(tmp_path, _view(2, layout=9))
    with pytest.raises(IncompatibleState, match="layout 9"):
        batch_view.read(tmp_path, 2)
