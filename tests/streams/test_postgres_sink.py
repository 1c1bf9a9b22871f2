"""The fence of a fold in PostgreSQL, without a server: how rows and fence move together.

Real transactions, kills and restarts are in ``tests/integration/test_streams_sinks.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from contracts.errors import StoreUnavailable
from streams import postgres_sink
from streams.decode import Batch
from streams.errors import PositionLost
from streams.postgres_sink import PostgresSink, place


class _Cursor:
    def __init__(self, house: _Database) -> None:
        self._house = house
        self._found: list[tuple[int, int, int]] = []

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def executemany(self, query: Any, rows: list[tuple[Any, ...]]) -> None:
        offsets = self._house.offsets
        for row in rows:
            if query == postgres_sink._ADVANCE.format(sql.Identifier("fence")):
                offset, log_id, partition = row
                offsets[log_id, partition] = offset
            else:
                log_id, partition = row[:2]
                offsets.setdefault((log_id, partition), -1)

    def execute(self, _query: Any, row: tuple[str, list[int]]) -> _Cursor:
        log_id, partitions = row
        self._found = [
            (p, offset, list(self._house.offsets).index((log_id, p)))
            for p in sorted(partitions)
            if (offset := self._house.offsets.get((log_id, p))) is not None
        ]
        return self

    def fetchall(self) -> list[tuple[int, int, int]]:
        return self._found


class _Database:
    """A table of fences and one of rows, in transactions."""

    def __init__(self) -> None:
        self.offsets: dict[tuple[str, int], int] = {}
        self.rows: list[int] = []
        self.closed = 0

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        before = dict(self.offsets), list(self.rows)
        try:
            yield
        except BaseException:
            self.offsets, self.rows = before
            raise

    def cursor(self) -> _Cursor:
        return _Cursor(self)

    def close(self) -> None:
        self.closed += 1


class _Sink(PostgresSink[int]):
    fence = "fence"
    error: Exception | None = None

    def apply(self, connection: Any, batches: list[Batch[int]]) -> int:
        new = [offset for batch in batches for offset, _ in batch.messages]
        connection.rows += new
        if self.error is not None:
            raise self.error
        return len(new)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> _Database:
    found = _Database()
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: found)
    return found


def _sink(log_id: str = "log") -> _Sink:
    return _Sink("", log_id, partitions=2)


def _batch(start: int, last: int, partition: int = 0) -> Batch[int]:
    messages = [(offset, offset) for offset in range(start, last + 1)]
    return Batch(partition, start, start, last, messages, [])


def test_a_fresh_log_is_read_from_its_first_message(database: _Database) -> None:
    assert _sink().positions() == {0: 0, 1: 0}


def test_rows_and_fence_move_together(database: _Database) -> None:
    sink = _sink()
    assert sink.write([_batch(0, 4)]) == 5
    assert (database.rows, sink.positions()) == ([0, 1, 2, 3, 4], {0: 5, 1: 0})
    assert sink.write([_batch(5, 6), _batch(0, 0, partition=1)]) == 3
    assert sink.positions() == {0: 7, 1: 1}


def test_what_is_delivered_again_is_skipped(database: _Database) -> None:
    sink = _sink()
    sink.write([_batch(0, 4)])
    assert sink.write([_batch(0, 4)]) == 0
    assert sink.write([_batch(2, 6)]) == 2
    assert database.rows == [0, 1, 2, 3, 4, 5, 6]


def test_a_hole_after_the_fence_is_refused(database: _Database) -> None:
    sink = _sink()
    sink.write([_batch(0, 4)])
    with pytest.raises(PositionLost):
        sink.write([_batch(6, 7)])
    assert database.rows == [0, 1, 2, 3, 4]


def test_offsets_of_another_log_are_kept_apart(database: _Database) -> None:
    _sink().write([_batch(0, 4)])
    other = _sink("another")
    assert other.positions() == {0: 0, 1: 0}
    other.write([_batch(0, 0)])
    assert _sink().positions() == {0: 5, 1: 0}
    assert len({*_numbers(_sink()), *_numbers(other)}) == 4


def _numbers(sink: _Sink) -> list[int]:
    sink.positions()
    return list(sink.numbers.values())


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (psycopg.OperationalError("server closed the connection"), StoreUnavailable),
        (psycopg.errors.UndefinedTable("not set up yet"), StoreUnavailable),
        (psycopg.errors.NotNullViolation("a fault of ours"), psycopg.errors.NotNullViolation),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_a_transaction_that_fails_moves_nothing(
    database: _Database, error: Exception, seen: type[Exception]
) -> None:
    sink = _sink()
    sink.write([_batch(0, 4)])
    sink.error = error
    with pytest.raises(seen):
        sink.write([_batch(5, 6)])
    assert database.rows == [0, 1, 2, 3, 4]
    sink.error = None
    assert sink.positions() == {0: 5, 1: 0}


def test_places_order_messages_over_all_logs() -> None:
    assert place(1, 0) > place(0, 2**40 - 1)
    assert place(3, 8) - place(3, 7) == 1
