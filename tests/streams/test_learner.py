from __future__ import annotations

import msgspec
import numpy as np
import pytest

from contracts.ids import artist_key, id_key, track_key, user_key
from online_model import ModelConfig, Recommender
from online_model.state import EVICTED_LISTENERS, EVICTED_TRACKS, LATE
from streams.decode import Batch, Record
from streams.learner import ModelFold, columns, document, learn
from tests.streams.plays import START, play, submission

CONFIG = ModelConfig(tracks=256, listeners=32)


def batch(*marks: tuple[str, int, int]) -> Batch:  # type: ignore[type-arg]
    messages = [(i, submission(user, (s, t))) for i, (user, s, t) in enumerate(marks)]
    return Batch(0, 0, 0, len(messages) - 1, messages, [])


def test_columns_follow_the_log() -> None:
    both = Batch(
        0, 0, 0, 1, [(0, submission("a", (1, 1), (2, 2))), (1, submission("b", (3, 1)))], []
    )
    c = columns(both)
    assert c.users.tolist() == [user_key("a"), user_key("a"), user_key("b")]
    assert c.seconds.tolist() == [START + 1, START + 2, START + 3]
    assert c.tracks[0] == c.tracks[2] == track_key("Artist 1", "Title 1")
    assert c.tracks.dtype == np.uint64
    assert c.ratios.tolist() == [255, 255, 255]


def test_a_document_names_the_track() -> None:
    assert msgspec.json.decode(document(play("a", 1, 3))) == {
        "track_id": play("a", 1, 3).track_id,
        "artist": "Artist 3",
        "title": "Title 3",
    }


def test_a_track_is_registered_with_its_artist_and_both_names() -> None:
    model = Recommender(CONFIG)
    learn(model, batch(("u", 1, 3), ("u", 2, 4)))
    for number in (3, 4):
        keys = [track_key(f"Artist {number}", f"Title {number}")]
        keys.append(id_key(play("u", 1, number).track_id))
        row, same = model.lookup(np.array(keys, np.uint64)).tolist()
        assert row == same >= 0
        assert model.state.artist[row] == artist_key(f"Artist {number}")
    assert len(set(model.state.artist[:2].tolist())) == 2


def test_what_was_heard_of_a_play_reaches_the_model() -> None:
    heard = msgspec.structs.replace(play("u", 1, 1), ms_played=60_000, duration_ms=240_000)
    one = submission("u", (1, 1))
    told = msgspec.structs.replace(one, plays=[heard])
    assert columns(Batch(0, 0, 0, 0, [(0, told)], [])).ratios.tolist() == [25]


def differing(one: Recommender, other: Recommender) -> list[str]:
    """Name the arrays in which two models differ."""
    both = zip(one.state._fields, one.state, other.state, strict=True)
    return [name for name, a, b in both if a.tobytes() != b.tobytes()]


@pytest.mark.slow
def test_batches_do_not_matter_to_the_model() -> None:
    marks = [(f"u{i % 5}", i, i * i % 23) for i in range(300)]
    whole, parts = Recommender(CONFIG), Recommender(CONFIG)
    counts = learn(whole, batch(*marks))
    for at in range(0, 300, 7):
        learn(parts, batch(*marks[at : at + 7]))
    assert counts["plays"] == counts["learned"] == 300
    assert counts["tracks"] == len({t for _, _, t in marks}) == whole.tracks
    assert differing(whole, parts) == []
    row = int(whole.lookup(np.array([id_key(play("u", 1, 4).track_id)], np.uint64))[0])
    assert whole.document(row) == document(play("u", 1, 4))
    assert learn(whole, batch(*marks))["learned"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 50])
def test_batches_do_not_matter_to_a_full_model(size: int) -> None:
    """Rows run out for tracks and listeners, tracks come back, and some plays come late."""
    config = ModelConfig(tracks=32, listeners=8)
    marks = [(f"u{i * i % 19}", i if i % 11 else i - 20, i * i % 97) for i in range(20, 320)]
    whole, parts = Recommender(config), Recommender(config)
    met = learn(whole, batch(*marks))["tracks"]
    counts = [learn(parts, batch(*marks[at : at + size])) for at in range(0, 300, size)]
    assert whole.state.counters[EVICTED_TRACKS] > 0 < whole.state.counters[EVICTED_LISTENERS]
    assert whole.state.counters[LATE] > 0
    assert met == sum(c["tracks"] for c in counts) > len({t for _, _, t in marks})
    assert differing(whole, parts) == []
    rows = np.flatnonzero(whole.state.track_key)
    assert all(whole.document(row) for row in rows.tolist())


def test_erasures_are_applied_before_the_plays_of_a_listener_who_came_back() -> None:
    """A learner that starts from nothing knows every erasure before it learns old plays."""
    model = Recommender(CONFIG)
    noted: list[str] = ["ada"]

    class Forgetting:
        applied = 0

        def apply(self) -> None:
            for name in noted[self.applied :]:
                model.erase_listener(user_key(name))
            self.applied = len(noted)

        @property
        def complete(self) -> bool:
            return self.applied == len(noted)

    class Decoder:
        """Skips what is erased; one more erasure arrives while it decodes for the first time."""

        def plays(self, records: list[Record], **_: int) -> Batch:  # type: ignore[type-arg]
            if "bob" not in noted:
                noted.append("bob")
                return batch(("ada", 5, 1), ("bob", 5, 1))
            return batch(("ada", 5, 1))

    fold = object.__new__(ModelFold)
    fold._forgetting, fold._decoder = Forgetting(), Decoder()  # type: ignore[assignment]
    learn(model, batch(("ada", 1, 2), ("bob", 1, 2)))
    learn(model, fold._decode([], 0, 0))
    fold._forgetting.apply()
    assert model.window(user_key("ada"))[1].tolist() == [START + 5]
    assert len(model.window(user_key("bob"))[0]) == 0
