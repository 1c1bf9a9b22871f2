from __future__ import annotations

import asyncio

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


async def test_a_log_may_begin_later_than_asked() -> None:
    buffer = Buffer()
    buffer.seek({TP0: 0})
    buffer.add(TP0, run(100, 101))
    assert await taken(buffer) == [100, 101]


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
