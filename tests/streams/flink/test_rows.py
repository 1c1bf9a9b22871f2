"""What the decoder makes of a message, and the rule of late plays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.erased import Erased
from contracts.events import Play, Submission, encode
from contracts.ids import event_id, partition_of
from streams.decode import Decoder, Record
from streams.flink.rows import is_heard, is_late, rows, trace

USER, PARTITIONS = "ada", 4
DECODER = Decoder(Erased(), PARTITIONS)
HOUR = 3_600_000


def play(at: int = 1_700_000_000_000, after: int = 1000, **more: Any) -> Play:
    return Play(
        event_id=event_id(USER, at, "a", "t"),
        track_id="x",
        artist="a",
        title="t",
        played_at=at,
        received_at=at + after,
        source="test/1",
        **more,
    )


def decoded(value: bytes, partition: int | None = None) -> tuple[list[object], list[object]]:
    home = partition_of(USER, PARTITIONS) if partition is None else partition
    found, rejected = rows(DECODER, Record(0, value), partition=home, bound=3600)
    return list(found), list(rejected)


def test_each_play_is_a_row() -> None:
    value = encode(Submission(user_id=USER, plays=[play(), play(at=1_700_000_100_000, after=HOUR)]))
    found, rejected = rows(
        DECODER, Record(0, value), partition=partition_of(USER, PARTITIONS), bound=3600
    )
    assert [row.late for row in found] == [False, False]
    assert [row.received_at - row.played_at for row in found] == [1000, HOUR]
    assert not rejected


@pytest.mark.parametrize("value", [b"{", b"", b"\xff", b'{"user_id": "ada", "plays": []}'])
def test_a_bad_message_is_rejected_with_a_reason(value: bytes) -> None:
    found, rejected = decoded(value)
    assert not found
    assert len(rejected) == 1


def test_a_listener_of_another_partition_is_rejected() -> None:
    value = encode(Submission(user_id=USER, plays=[play()]))
    _, rejected = decoded(value, (partition_of(USER, PARTITIONS) + 1) % PARTITIONS)
    assert len(rejected) == 1


@given(st.integers(0, 2**41), st.integers(-HOUR, 10 * HOUR), st.integers(60, 7200))
def test_late_is_a_rule_about_the_play_alone(at: int, after: int, bound: int) -> None:
    assert is_late(at, at + after, bound) is (after > 1000 * bound)


@given(st.integers(0, 2**41), st.integers(0, HOUR))
def test_no_timely_play_is_behind_the_watermark(at: int, after: int) -> None:
    """The watermark is the received time less the bound: a play on time is never before it."""
    received = at + after
    assert is_late(at, received, 3600) or at >= received - 3600 * 1000


@pytest.mark.parametrize(
    ("said", "heard"),
    [({}, True), ({"ms_played": 29_999}, False), ({"ms_played": 30_000}, True),
     ({"skipped": True}, False)],
)  # fmt: skip
def test_heard_is_half_a_minute(said: dict[str, Any], heard: bool) -> None:
    assert is_heard(play(**said)) is heard


def test_a_trace_names_the_second_and_the_track() -> None:
    assert trace("x", 1000) == trace("x", 1999)
    assert len({trace("x", 1000), trace("x", 2000), trace("y", 1000)}) == 3
