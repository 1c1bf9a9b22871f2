"""Many lists in one call are the lists made one by one, even while the learner writes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from contracts.features import EMPTY, LAYOUT_VERSION, Listener
from online_model import Recommender
from online_model.many import Lists
from tests.blobs import pack_play

from .plays import SMALL, made_up


@pytest.fixture(scope="module")
def learned() -> Recommender:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(3_000))
    return model


def _blobs(model: Recommender) -> list[bytes]:
    """Return listeners of every kind: strangers, long windows, hidden and unknown tracks."""
    now = model.clock
    found = [EMPTY, bytes([LAYOUT_VERSION, 0, 0, 0]) + pack_play(now - 5, 99, 255, 0)]
    for size in (1, 7, 120, 300):
        plays = [
            pack_play(now - 400 * (size - k), 1000 + (k * 7 + size) % 61, (k * 37) % 256, 0)
            for k in range(size)
        ]
        hidden = np.arange(1003, 1003 + size % 5, dtype=">u8").tobytes()
        head = bytes([LAYOUT_VERSION, 0]) + (len(hidden) // 8).to_bytes(2, "big")
        found.append(head + hidden + b"".join(plays))
    return found


def _same(model: Recommender, blobs: list[bytes], lists: Lists, lengths: list[int]) -> None:
    for i, blob in enumerate(blobs):
        listener = Listener.unpack(blob)
        one = model.recommend(
            listener.tracks,
            listener.seconds,
            listener.ratios,
            now=model.clock + 9,
            k=lengths[i],
            discover=bool(i % 2),
            hidden=listener.hidden,
        )
        n = int(lists.counts[i])
        assert lists.indices[i, :n].tolist() == one.indices.tolist()
        # To the bit: explanations and the learner's own trials speak of these numbers.
        assert lists.scores[i, :n].tobytes() == one.scores.tobytes()
        assert lists.features[i, :n].tobytes() == one.features.tobytes()
        assert (lists.known[i] == 0) == one.stranger


def test_lists_of_one_call_are_those_made_one_by_one(learned: Recommender) -> None:
    blobs = _blobs(learned) * 2
    lengths = [1 + (7 * i) % 25 for i in range(len(blobs))]
    discover = [bool(i % 2) for i in range(len(blobs))]
    lists = learned.recommend_blobs(
        blobs, now=learned.clock + 9, lengths=lengths, discover=discover
    )
    assert 0 in lists.known
    assert max(lists.known) > 290
    _same(learned, blobs, lists, lengths)


def test_nobody_asks(learned: Recommender) -> None:
    assert len(learned.recommend_blobs([], now=1, lengths=[], discover=[]).counts) == 0


def test_lists_are_whole_while_the_learner_writes(learned: Recommender) -> None:
    """A reader maps what another writes; every list keeps its shape and its order."""
    model = Recommender(SMALL)
    users, tracks, seconds, ratios = made_up(3_000)
    model.learn_plays(users[:1000], tracks[:1000], seconds[:1000], ratios[:1000])
    reader = Recommender(SMALL, model.state)
    blobs = _blobs(model)

    def learn() -> None:
        for at in range(1000, 3000, 20):
            part = slice(at, at + 20)
            model.learn_plays(users[part], tracks[part], seconds[part], ratios[part])

    writer = threading.Thread(target=learn)
    writer.start()
    while True:
        last = not writer.is_alive()
        lists = reader.recommend_blobs(
            blobs, now=model.clock + 9, lengths=[12] * len(blobs), discover=[False] * len(blobs)
        )
        for i, n in enumerate(lists.counts.tolist()):
            rows, scores = lists.indices[i, :n], lists.scores[i, :n]
            assert len(set(rows.tolist())) == n <= 12
            assert ((rows >= 0) & (rows < model.tracks)).all()
            assert (np.diff(scores) <= 0).all()
        if last:
            break
    writer.join()
    _same(reader, blobs[:1], lists, [12])


def test_a_mark_changes_with_the_document() -> None:
    model = Recommender(SMALL)
    row = model.register_track(5)
    assert model.document_marks(np.array([row])).tolist() == [0]
    model.register_track(5, document=b'{"track_id":"a"}')
    (mark,) = model.document_marks(np.array([row])).tolist()
    assert mark
    other = model.register_track(6, document=b'{"track_id":"b"}')
    assert model.document_marks(np.array([row, other])).tolist()[0] == mark
    assert model.document_marks(np.array([other])).tolist() != [mark]
