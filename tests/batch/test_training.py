"""Batch models: closed forms checked by hand, ranks, and HetRec leave-one-out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from batch.training import ease, ials
from batch.training.evaluation import linear, metrics, popularity, ranks
from batch.training.interactions import RatedTracks
from batch.training.neighbours import largest, strongest


def _tastes(seed: int = 3) -> sparse.csr_matrix:
    """Sixty listeners of two tastes; each plays 6 of the 10 tracks of theirs."""
    draw = np.random.default_rng(seed)
    rows = [(u, (u % 2) * 10 + t) for u in range(60) for t in draw.choice(10, 6, replace=False)]
    users, items = np.array(rows).T
    return sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(60, 20))


def test_ease_equals_the_closed_form() -> None:
    matrix = _tastes()
    dense = matrix.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + 7.0 * np.eye(20))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    got = ease.fit(matrix, regularisation=7.0, slots=19).matrix().toarray()
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("fit", [ease.fit, ials.fit])
def test_neighbours_stay_within_a_taste(fit: object) -> None:
    table = fit(_tastes(), slots=5)  # type: ignore[operator]
    assert table.targets.shape == (20, 5)
    best = table.targets[:, 0]
    assert ((best >= 10) == (np.arange(20) >= 10)).all()
    assert (np.diff(table.weights, axis=1) <= 0).all()
    assert all(row not in targets for row, targets in enumerate(table.targets.tolist()))


def test_the_largest_come_first_and_of_equals_the_lower_column() -> None:
    scores = np.array([[0, 3, 3, 1, 3], [2, 2, 2, 2, 2], [5, 4, -np.inf, 6, 0]], np.float32)
    assert largest(scores, 2).tolist() == [[1, 2], [0, 1], [3, 0]]
    draw = np.random.default_rng(1).random((50, 300)).astype(np.float32)
    np.testing.assert_array_equal(largest(draw, 20), np.argsort(-draw, axis=1)[:, :20])


def test_from_the_factors_of_yesterday_three_iterations_do_for_ten() -> None:
    matrix = _tastes()
    yesterday = matrix.copy()
    yesterday.data[::9] = 0
    yesterday.eliminate_zeros()
    before = ials.factorise(yesterday)
    warm = ials.neighbours(ials.factorise(matrix, start=before, iterations=3), 20).matrix()
    whole = ials.fit(matrix).matrix()
    assert abs(warm - whole).max() < 0.02


def test_the_strongest_are_kept_by_magnitude() -> None:
    weights = np.array([[9, 1, -5, 2], [0, 9, 0, 0], [1, 2, 9, 3], [4, 3, 2, 9]], np.float32)
    table = strongest(weights, np.arange(1, 5), total=6, slots=2)
    assert table.targets.tolist() == [
        [-1, -1],
        [4, 3],
        table.targets[2].tolist(),
        [4, 2],
        [1, 2],
        [-1, -1],
    ]
    assert table.weights[1].tolist() == [2, -5]


def test_ranks_count_ties_against_the_model_and_skip_what_was_had() -> None:
    history = sparse.csr_matrix(np.array([[1, 0, 0, 0, 0], [1, 1, 1, 1, 0]], np.float32))
    test = sparse.csr_matrix(np.array([[0, 0, 1, 0, 1], [0, 0, 0, 0, 0]], np.float32))
    found = ranks(popularity(history), history, test)
    assert found.tolist() == [3, 5], "three tracks tie at one listener; the last nobody had"
    assert metrics(np.array([1, 11])) == {"hr@10": 0.5, "ndcg@10": 0.5, "mrr@10": 0.5}
    assert metrics(np.array([], np.int64))["hr@10"] == 0.0


def test_an_older_pair_weighs_less() -> None:
    pairs = RatedTracks(
        users=np.array([0, 0], np.int32),
        items=np.array([0, 1], np.int32),
        seconds=np.array([0, 86_400 * 10]),
        shape=(1, 2),
    )
    assert pairs.matrix(half_life_days=10).toarray().tolist() == [[0.5, 1.0]]
    assert pairs.matrix(half_life_days=None).toarray().tolist() == [[1.0, 1.0]]


def _hetrec(folder: Path) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """One random artist held out of every listener with five or more, seed 0."""
    table = pq.read_table(folder / "hetrec_user_artists.parquet")
    users = np.unique(table["user_id"].to_numpy(), return_inverse=True)[1]
    items = np.unique(table["artist_id"].to_numpy(), return_inverse=True)[1]
    draw = np.random.default_rng(0)
    held = np.zeros(len(users), bool)
    for user in range(users.max() + 1):
        rows = np.where(users == user)[0]
        if len(rows) >= 5:
            held[draw.choice(rows)] = True
    shape = (users.max() + 1, items.max() + 1)
    train, test = (
        sparse.csr_matrix((np.ones(rows.sum(), np.float32), (users[rows], items[rows])), shape)
        for rows in (~held, held)
    )
    return train, test


@pytest.mark.slow
def test_hetrec_leave_one_out_reaches_its_floor(shared_data: Path, real_data: bool) -> None:
    train, test = _hetrec(shared_data)
    found = {
        "popularity": metrics(ranks(popularity(train), train, test)),
        "ease": metrics(ranks(linear(ease.fit(train).matrix()), train, test)),
        "ials": metrics(ranks(linear(ials.fit(train).matrix()), train, test)),
    }
    print(found)
    held, popular, of_ease, of_ials = (
        (1877, 0.0687, 0.23, 0.20) if real_data else (400, 0.0025, 0.085, 0.075)
    )
    assert test.nnz == held
    assert found["popularity"]["hr@10"] == pytest.approx(popular, abs=0.003), "another protocol"
    assert found["ease"]["hr@10"] >= of_ease
    assert found["ials"]["hr@10"] >= of_ials
