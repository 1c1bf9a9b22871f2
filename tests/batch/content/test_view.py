"""The content view: near artists' tracks, everybody reachable, the same for the same catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from batch.content import view
from batch.content.neighbours import ContentNeighbours
from batch.content.vectors import Vectors
from batch.content.view import SLOTS, Tracks, neighbours


def world(artists: int = 40, each: int = 9, seed: int = 0) -> tuple[Tracks, ContentNeighbours]:
    """Two genres of artists, with `each` tracks; the last artist has no tags."""
    rng = np.random.default_rng(seed)
    values = np.zeros((artists, 4), np.float32)
    values[: artists // 2, 0] = 1
    values[artists // 2 :, 1] = 1
    values += 0.05 * rng.random((artists, 4), np.float32)
    known = np.ones(artists, bool)
    known[-1] = False
    values[-1] = 0
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    table = ContentNeighbours.of(
        Vectors(values, known), np.arange(1, artists + 1, dtype=np.uint64), 15
    )
    artist = np.repeat(np.arange(artists), each)
    popularity = np.tile(np.linspace(1, 0, each, dtype=np.float32), artists)
    sound = rng.standard_normal((artists * each, 5)).astype(np.float32)
    sound[::7] = np.nan
    return Tracks(artist, sound, popularity), table


def test_rows_lead_to_near_artists_and_never_to_themselves() -> None:
    tracks, table = world()
    targets, weights = neighbours(tracks, table)
    assert targets.shape == weights.shape == (360, SLOTS)
    for row in range(351):
        found = targets[row][targets[row] >= 0]
        assert row not in found
        assert len(set(found.tolist())) == len(found) > 12
        genre = tracks.artist[row] < 20
        assert ((tracks.artist[found] < 20) == genre).all()
        assert np.bincount(tracks.artist[found]).max() <= 5
    assert (np.diff(weights, axis=1) <= 0).all()
    assert ((weights > 0) == (targets >= 0)).all()
    assert weights.max() <= 1.0


def test_an_artist_without_tags_leads_to_its_own_tracks() -> None:
    tracks, table = world()
    targets, _ = neighbours(tracks, table)
    last = targets[351:]
    assert (tracks.artist[last[last >= 0]] == 39).all()
    assert (last >= 0).any(axis=1).all()


def test_the_unknown_are_reached_too() -> None:
    """Popularity must not decide who can be met: every track is led to by some other."""
    tracks, table = world(each=30)
    targets, _ = neighbours(tracks, table)
    reached = np.zeros(len(tracks.artist), bool)
    reached[targets[targets >= 0]] = True
    assert reached.all()


def test_near_sounds_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks, table = world()
    sound = np.zeros_like(tracks.sound)
    sound[:180:9] = 1.0  # each artist's best known track sounds alike
    targets, weights = neighbours(Tracks(tracks.artist, sound, tracks.popularity * 0), table)
    others = targets[0][:5]
    assert set((others % 9).tolist()) == {0}
    monkeypatch.setattr(view, "_BLOCK", 7)
    again = neighbours(Tracks(tracks.artist, sound, tracks.popularity * 0), table)
    assert np.array_equal(again[0], targets)
    assert np.array_equal(again[1], weights)


def test_a_catalogue_of_two_artists_will_do() -> None:
    tracks, table = world(artists=2, each=1)
    targets, weights = neighbours(tracks, table)
    assert targets.shape == weights.shape == (2, SLOTS)
    assert (targets == -1).all()  # the second has no tags, and the first nobody else
