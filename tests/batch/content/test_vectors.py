"""Vectors, neighbours and EASE on sets small enough to check by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from batch.content.neighbours import ContentNeighbours
from batch.content.vectors import Vectors, weigh
from contracts.errors import IncompatibleState
from tests.benchmarks.tagged_ease import ease

#: Items 0-2 are rock, 3-5 jazz, 6 has a tag nobody shares, 7 none.
ITEMS = np.array([0, 1, 2, 3, 4, 5, 0, 1, 3, 4, 6])
TAGS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4])
ONES = np.ones(len(ITEMS), np.float32)
KEYS = np.arange(100, 108, dtype=np.uint64)


def test_items_of_one_tag_are_alike_and_of_different_tags_are_not() -> None:
    vectors = Vectors.from_tags(ITEMS, TAGS, ONES, 8)
    cosine = vectors.values @ vectors.values.T
    assert cosine[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert cosine[0, 2] > 0.5
    assert abs(cosine[:3, 3:6]).max() < 0.2  # the last dimension is cut
    assert vectors.known.tolist() == [True] * 6 + [False] * 2


def test_rare_tags_count_more_and_rows_have_length_one() -> None:
    weighted = weigh(ITEMS, TAGS, ONES, 8).toarray()
    assert weighted[0].max() == weighted[0, 2]  # tag 2 has two items, tag 0 three
    assert np.linalg.norm(weighted[:6], axis=1) == pytest.approx(np.ones(6))
    assert not weighted[6:].any()


def test_neighbours_are_the_nearest_and_nobody_else() -> None:
    table = ContentNeighbours.of(Vectors.from_tags(ITEMS, TAGS, ONES, 8), KEYS, k=3)
    assert table.items[0, :2].tolist() == [1, 2]
    assert set(table.items[4, :2].tolist()) == {3, 5}
    assert table.scores[0, 2] < 0.2
    assert (table.items[6:] == -1).all()
    assert not table.scores[6:].any()


def test_a_table_survives_the_disk_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    table = ContentNeighbours.of(Vectors.from_tags(ITEMS, TAGS, ONES, 8), KEYS)
    path = tmp_path / "content" / "neighbours.npz"
    table.save(path)
    read = ContentNeighbours.load(path)
    assert (read.keys == KEYS).all()
    assert (read.items == table.items).all()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IncompatibleState, match="neighbours"):
        ContentNeighbours.load(path)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12), st.integers(0, 80))
def test_any_tags_give_a_table(seed: int, items: int, tags: int, given_tags: int) -> None:
    rng = np.random.default_rng(seed)
    tagged, tag = rng.integers(0, items, given_tags), rng.integers(0, tags, given_tags)
    vectors = Vectors.from_tags(tagged, tag, np.ones(given_tags, np.float32), items, 5)
    table = ContentNeighbours.of(vectors, np.arange(items, dtype=np.uint64), k=4)
    assert np.isfinite(table.scores).all()
    assert (np.diff(table.scores, axis=1) <= 1e-6).all()
    assert (table.items < items).all()
    assert (table.items != np.arange(items)[:, None]).all()


def test_ease_has_its_closed_form_and_tags_join_what_listens_do_not() -> None:
    listens = sparse.csr_matrix(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], np.float32))
    weights = ease(listens, ridge=1.0)
    inverse = np.linalg.inv(listens.T @ listens + np.eye(4))
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert weights == pytest.approx(expected, abs=1e-5)
    assert weights[0, 3] == 0
    tags = sparse.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [1, 0]], np.float32))
    joint = ease(listens, ridge=1.0, tags=tags, tag_share=2.0)
    assert joint[0, 3] > 0.05 > joint[2, 3]  # nobody heard item 3, its tags place it


def test_sound_parts_artists_of_the_same_tags() -> None:
    items, tags = np.repeat(np.arange(6), 2), np.tile([0, 1], 6)
    vectors = Vectors.from_tags(items, tags, np.ones(12, np.float32), 8)
    sound = np.array(
        [[0.1, 0.1], [0.9, 0.9], [0.1, 0.2], [0.8, 0.9], [np.nan] * 2, [0.5, 0.5], [0.1, 0.1],
         [np.nan] * 2],
        np.float32,
    )  # fmt: skip
    mixed = vectors.with_sound(sound)
    like = mixed.values @ mixed.values.T
    assert like[0, 2] > like[0, 1]
    assert like[1, 3] > like[1, 2]
    assert mixed.known.tolist() == [True] * 7 + [False]  # 6 has no tags, 7 nothing at all
    assert like[6, 0] > like[6, 1]
    assert np.allclose(np.linalg.norm(mixed.values[:7], axis=1), 1, atol=1e-5)
    assert not mixed.values[7].any()
