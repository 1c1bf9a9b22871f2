"""`segue model`: generations listed, promoted, rolled back; refusals say why and change nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from contracts import batch_view
from contracts import generations as models
from contracts.batch_view import BatchView, Manifest
from contracts.errors import ConfigurationError
from infra.cli.commands.model import app


def _write(folder: Path, generation: int) -> None:
    manifest = Manifest(
        generation=generation,
        algorithm="ease",
        trained_at="2025-03-03T00:00:00+00:00",
        lake_version=3,
        plays_until=1_741_000_000_000,
        listeners=4,
        tracks=2,
        metrics={"new.hr@10": 0.5},
    )
    one = np.array([[1], [0]])
    keys = np.array([5, 9], np.uint64)
    view = BatchView(keys, one.astype(np.int32), one.astype(np.float32), manifest)
    batch_view.write(folder, view)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three generations, the third in service, the second torn."""
    folder = tmp_path / "batch_view"
    for generation in (1, 2, 3):
        _write(folder, generation)
    batch_view.promote(folder, 3)
    (folder / "2" / "neighbours.npz").write_bytes(b"torn")
    return folder


def test_the_newest_comes_first_and_a_torn_one_is_named(folder: Path) -> None:
    found = models.generations(folder)
    assert [(f.generation, f.in_service, f.manifest is None) for f in found] == [
        (3, True, False),
        (2, False, True),
        (1, False, False),
    ]
    assert "batch view 2 cannot be read" in found[1].trouble


def test_a_roll_back_passes_over_what_cannot_be_read(folder: Path) -> None:
    assert models.roll_back(folder).generation == 1
    assert batch_view.current(folder) == 1
    with pytest.raises(ConfigurationError, match="no readable generation is older than 1"):
        models.roll_back(folder)
    assert models.promote(folder, 3).in_service
    assert batch_view.current(folder) == 3


@pytest.mark.parametrize(
    ("generation", "why"),
    [(9, r"9 is not stored; stored: 1, 2, 3"), (3, "already in service"), (2, "cannot be read")],
)
def test_a_refusal_says_why_and_changes_nothing(folder: Path, generation: int, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        models.promote(folder, generation)
    assert batch_view.current(folder) == 3


def test_without_any_generation_there_is_no_way_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no generation is in service"):
        models.roll_back(tmp_path)
    with pytest.raises(ConfigurationError, match="none yet"):
        models.promote(tmp_path, 1)


def test_scripts_read_json(folder: Path) -> None:
    home = str(folder.parent)
    run = CliRunner()
    done = run.invoke(app, ["rollback", "--home", home, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["generation"] == 1
    listed = json.loads(run.invoke(app, ["list", "--home", home, "--json"]).output)
    assert [entry["in_service"] for entry in listed] == [False, False, True]
    assert listed[0]["manifest"]["metrics"] == {"new.hr@10": 0.5}
    assert "0.5000" in run.invoke(app, ["list", "--home", home]).output
