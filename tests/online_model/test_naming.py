"""The names of tracks that one call meets."""

from __future__ import annotations

import numpy as np

from online_model import ModelConfig, Recommender, TrackNames

from .plays import Plays


def plays(*tracks: int) -> Plays:
    n = len(tracks)
    seconds = np.arange(1_000, 1_000 + 200 * n, 200)
    return Plays(
        np.ones(n, np.uint64), np.array(tracks, np.uint64), seconds, np.full(n, 255, np.uint8)
    )


def test_names_are_asked_for_tracks_without_a_row() -> None:
    model = Recommender(ModelConfig(tracks=64, listeners=8))
    model.learn_plays(*plays(10, 11))
    asked: list[int] = []

    def name(position: int) -> TrackNames:
        asked.append(position)
        return TrackNames(id_key=99, artist_key=7, document=b"{}")

    later = plays(10, 12, 12, 11)
    stats = model.learn_plays(*later._replace(seconds=later.seconds + 9_000), name=name)
    assert asked == [1, 2]
    assert (stats.learned, stats.met) == (4, 1)
    known, same, unnamed = model.lookup([12, 99, 10]).tolist()
    assert known == same
    assert (model.document(known), model.document(unnamed)) == (b"{}", b"")
    assert model.state.artist[[known, unnamed]].tolist() == [7, 0]


def test_a_track_that_lost_its_row_in_the_call_gets_its_names_again() -> None:
    """A call of more tracks than there are rows: each track that has a row has its names."""
    model = Recommender(ModelConfig(tracks=32, listeners=8))
    both = plays(*range(1, 49), *range(1, 49))
    model.learn_plays(*plays(*range(1, 33)), name=lambda k: named(k + 1))
    stats = model.learn_plays(
        *both._replace(seconds=both.seconds + 90_000), name=lambda k: named(int(both.tracks[k]))
    )
    assert stats.met > 16, "tracks that had rows before the call lost them and came back"
    for row in np.flatnonzero(model.state.track_key).tolist():
        key = int(model.state.track_key[row])
        assert model.document(row) == b"%d" % key
        assert model.state.artist[row] == key


def named(key: int) -> TrackNames:
    return TrackNames(artist_key=key, document=b"%d" % key)
