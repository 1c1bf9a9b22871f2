from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from faust.types import TP

from streams import buffer as buffers
from streams.buffer import Buffer
from streams.decode import Record
from streams.errors import PositionLost
from streams.listeners import pieces

TP0 = TP("plays", 0)


def run(*offsets: int) -> list[Record]:
    return [Record(offset, b"x") for offset in offsets]


async def taken(buffer: Buffer) -> list[int]:
    found = await asyncio.wait_for(buffer.take(), 1)
    return [record.offset for record in found.get(TP0, [])]


async def test_runs_are_joined_and_repeats_dropped() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP0, run(5, 6))
    buffer.add(TP0, run(6, 7, 8))
    buffer.add(TP0, run(5, 6))
    assert await taken(buffer) == [5, 6, 7, 8]
    assert buffer.next == {TP0: 9}


async def test_a_partition_of_somebody_else_is_ignored() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP("plays", 1), run(5))
    buffer.add(TP0, run(5))
    assert list(await buffer.take()) == [TP0]


@pytest.mark.parametrize("hole", [(8, 9), (7, 9)])
async def test_a_hole_is_an_error(hole: tuple[int, int]) -> None:
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP0, run(5, 6))
    assert await taken(buffer) == [5, 6]
    buffer.add(TP0, run(*hole))
    with pytest.raises(PositionLost):
        await taken(buffer)


async def test_a_log_that_begins_later_than_asked_is_an_error() -> None:
    """Kafka deleted messages between the check and the fetch: the next start reads the lake."""
    buffer = Buffer()
    buffer.seek({TP0: 0})
    buffer.add(TP0, run(100, 101))
    with pytest.raises(PositionLost, match="expected offset 0, got 2 messages from 100 to 101"):
        await taken(buffer)


async def test_a_seek_forgets_what_waits() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP0, run(5, 6))
    buffer.seek({TP0: 4})
    buffer.add(TP0, run(4, 5))
    assert await taken(buffer) == [4, 5]


@pytest.mark.parametrize(("limit", "most"), [("_MOST_BYTES", 3), ("_MOST_MESSAGES", 3)])
async def test_a_full_buffer_holds_the_reader_back(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, limit, most)
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP0, run(5, 6))
    assert buffer._room.is_set()
    buffer.add(TP0, run(7))
    assert not buffer._room.is_set()
    assert await taken(buffer) == [5, 6, 7]
    assert buffer._room.is_set()


def test_pieces_keep_order_and_lose_nothing() -> None:
    records = [Record(i, b"x" * (i % 7)) for i in range(100)]
    cut = list(pieces(records, 10))
    assert [r for piece in cut for r in piece] == records
    assert all(sum(len(r.value or b"") for r in piece[:-1]) < 10 for piece in cut)
    assert list(pieces([], 10)) == []


async def test_a_gap_is_named_and_later_runs_do_not_hide_it() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP0, run(5))
    buffer.add(TP0, run(8, 9))
    buffer.add(TP0, run(6))
    words = r"expected offset 6, got 2 messages from 8 to 9$"
    for _ in range(2):
        with pytest.raises(PositionLost, match=words):
            await taken(buffer)


async def test_a_gap_wakes_a_fold_that_waits() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 5})
    buffer.add(TP0, run(5))
    await taken(buffer)
    waiting = asyncio.ensure_future(buffer.take())
    await asyncio.sleep(0.01)
    buffer.add(TP0, run(7))
    with pytest.raises(PositionLost):
        await asyncio.wait_for(waiting, 1)


async def test_a_gap_inside_the_first_run_is_an_error_too() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 3})
    buffer.add(TP0, run(3, 5))
    with pytest.raises(PositionLost, match="expected offset 3, got 2 messages from 3 to 5"):
        await taken(buffer)


async def test_a_seek_makes_room_and_starts_counting_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buffers, "_MOST_MESSAGES", 3)
    monkeypatch.setattr(buffers, "_MOST_BYTES", 100)
    buffer = Buffer()
    buffer.seek({TP0: 0})
    for _ in range(3):
        buffer.add(TP0, run(0, 1, 2))
        assert not buffer._room.is_set()
        buffer.seek({TP0: 0})
        assert buffer._room.is_set()
    buffer.add(TP0, [Record(0, b"x" * 99), Record(1, None)])
    assert buffer._room.is_set()
    await buffer.take()
    buffer.seek({TP0: 2})
    buffer.add(TP0, [Record(2, b"x" * 100)])
    assert not buffer._room.is_set()
    buffer.seek({TP0: 2})
    buffer.add(TP0, [Record(2, b"x" * 99)])
    assert buffer._room.is_set()


class Stream:
    """A Faust stream of runs; it records how far the agent has read."""

    def __init__(self, *runs: list[Record]) -> None:
        self.runs = runs
        self.enable_acks = True
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[None]:
        for each in self.runs:
            self.read += 1
            message = SimpleNamespace(tp=TP0, value=SimpleNamespace(records=each))
            self.current_event = SimpleNamespace(message=message)
            yield


async def test_an_agent_stops_reading_while_the_buffer_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buffers, "_MOST_MESSAGES", 2)
    buffer, stream = Buffer(), Stream(run(0), run(1), run(2))
    buffer.seek({TP0: 0})
    agent = asyncio.ensure_future(buffer.fill(stream))
    await asyncio.sleep(0.01)
    assert (stream.read, agent.done(), stream.enable_acks) == (2, False, False)
    assert await taken(buffer) == [0, 1]
    await asyncio.wait_for(agent, 1)
    assert await taken(buffer) == [2]


async def test_under_load_a_batch_gets_a_moment_to_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = 100.0, []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(buffers, "_BUSY", 0.25)
    monkeypatch.setattr(buffers, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(buffers, "asyncio", SimpleNamespace(sleep=sleep, Event=asyncio.Event))
    buffer = Buffer()
    buffer.seek({TP0: 0})
    for offset, (moment, waits) in enumerate(
        [(100.0, 0), (100.125, 1), (100.375, 0), (100.5, 1), (101.0, 0)]
    ):
        now = moment
        buffer.add(TP0, run(offset))
        slept.clear()
        await buffer.take()
        assert slept == [0.005] * waits, moment
