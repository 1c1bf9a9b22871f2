from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Feedback
from contracts.features import EMPTY, FLAG_SKIPPED, PLAY_BYTES, WINDOW, Listener
from contracts.ids import track_key
from contracts.plays import heard
from streams.fold import pack_feedback, pack_plays
from tests.blobs import pack_play
from tests.streams.plays import START, submission
from tests.streams.reference import reference_feedback, reference_fold


def test_packing_sorts_by_time_and_drops_repeats() -> None:
    packed = pack_plays([submission("ada", (9, 1), (3, 2)), submission("ada", (9, 1), (4, 1))])
    listener = Listener.unpack(reference_fold(None, packed.runs["ada"]))
    assert listener.seconds.tolist() == [START + 3, START + 4, START + 9]
    assert listener.tracks[0] == track_key("Artist 2", "Title 2")
    assert (packed.plays, packed.repeated) == (4, 1)


def test_listeners_of_a_batch_are_kept_apart() -> None:
    packed = pack_plays([submission("ada", (1, 1)), submission("bob", (1, 1))])
    assert packed.runs["ada"] == packed.runs["bob"]
    assert packed.repeated == 0


def test_the_longer_hearing_of_one_play_stands() -> None:
    def play(ms: int | None) -> bytes:
        return pack_plays([submission("ada", (1, 1), ms_played=ms, duration_ms=1000)]).runs["ada"]

    for first, second in ((None, 300), (300, 700), (700, None), (700, 300)):
        blob = reference_fold(reference_fold(None, play(first)), play(second))
        assert blob == reference_fold(None, max(play(first), play(second), key=_known))


def _known(play: bytes) -> int:
    return -1 if play[-2] == 255 else play[-2]


def test_the_window_keeps_the_latest_plays() -> None:
    run = pack_plays([submission("ada", *((s, s) for s in range(WINDOW + 5)))]).runs["ada"]
    listener = Listener.unpack(reference_fold(None, run))
    assert listener.seconds.tolist() == list(range(START + 5, START + WINDOW + 5))


def test_hiding_and_showing_again() -> None:
    def say(*kinds: str) -> bytes:
        messages = [
            Feedback(user_id="ada", kind=kind, at=0, source="t", artist="A", title=f"T{i % 2}")
            for i, kind in enumerate(kinds)
        ]
        return pack_feedback(messages)["ada"]

    first, second = track_key("A", "T0"), track_key("A", "T1")
    blob = reference_feedback(EMPTY + pack_play(1, 2, 3, 0), say("hate", "hide"))
    assert Listener.unpack(blob).hidden.tolist() == [first, second]
    assert len(blob or b"") == len(EMPTY) + 16 + PLAY_BYTES
    assert Listener.unpack(reference_feedback(blob, say("undo"))).hidden.tolist() == [second]
    assert Listener.unpack(reference_feedback(blob, say("love"))).hidden.tolist() == [second]
    assert reference_feedback(reference_feedback(None, say("hide")), say("undo")) is None
    assert Listener.unpack(reference_feedback(blob, say("hate"))).hidden.tolist() == [second, first]


marks = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from([0, 50, 255])))


@given(marks, st.randoms(use_true_random=False), st.integers(1, 8))
def test_the_fold_depends_on_the_set_of_plays_alone(
    plays: list[tuple[int, int, int]], random: object, pieces: int
) -> None:
    packed = [pack_play(s, t, r, 0) for s, t, r in plays]
    whole = reference_fold(None, b"".join(packed))
    again = packed + packed[: len(packed) // 2]
    random.shuffle(again)  # type: ignore[attr-defined]
    blob: bytes | None = None
    for piece in range(pieces):
        blob = reference_fold(blob, b"".join(again[piece::pieces]))
    assert blob == whole


def test_the_bytes_of_a_play() -> None:
    def packed(**changes: object) -> bytes:
        return pack_plays([submission("ada", (7, 2), **changes)]).runs["ada"]

    head = struct.pack(">IQ", START + 7, track_key("Artist 2", "Title 2"))
    assert packed() == head + b"\xff\x00"
    assert packed(ms_played=60_000, duration_ms=240_000) == head + bytes([25, 0])
    assert packed(played_at=(START + 7) * 1000 + 999) == head + b"\xff\x00"
    skipped = packed(ms_played=60_000, duration_ms=240_000, skipped=True)
    assert skipped == head + bytes([heard(60_000, 240_000, True), FLAG_SKIPPED])


def test_of_equal_hearings_the_one_that_was_not_skipped_stands() -> None:
    """In either order, so that the result does not depend on who reported first."""
    one, other = (
        submission("ada", (1, 1), ms_played=60_000, duration_ms=240_000, skipped=skipped)
        for skipped in (False, True)
    )
    assert heard(60_000, 240_000, True) == heard(60_000, 240_000, False) == 25
    unknown = submission("ada", (1, 1))
    for both in ([one, other], [other, one], [one, unknown], [unknown, one]):
        assert pack_plays(both).runs["ada"][-2:] == bytes([25, 0])


def test_plays_and_repetitions_are_counted_over_listeners() -> None:
    packed = pack_plays(
        [submission("ada", (1, 1), (1, 1)), submission("bob", (1, 1)), submission("ada", (1, 1))]
    )
    assert (packed.plays, packed.repeated) == (4, 2)
    assert list(packed.runs) == ["ada", "bob"]
    assert pack_plays([]) == ({}, 0, 0)
    assert {len(run) for run in packed.runs.values()} == {PLAY_BYTES}


def test_the_bytes_of_feedback_keep_the_order_of_the_log() -> None:
    def say(user: str, kind: str) -> Feedback:
        return Feedback(user_id=user, kind=kind, at=0, source="t", artist="A", title=kind)

    kinds = ("hate", "hide", "love", "undo")
    packed = pack_feedback([say("ada", kind) for kind in kinds] + [say("bob", "love")])
    assert packed["ada"] == b"".join(
        struct.pack(">cQ", letter, track_key("A", kind))
        for letter, kind in zip((b"H", b"H", b"U", b"U"), kinds, strict=True)
    )
    assert packed["bob"] == struct.pack(">cQ", b"U", track_key("A", "love"))
