"""A fold kept in PostgreSQL: its rows and its fence move in one transaction.

The fence is the last applied offset of each log and partition: the sink resumes behind it.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

import psycopg
from psycopg import sql

from contracts.errors import StoreUnavailable, first_line
from contracts.postgres import PASSING, Connection, trouble
from streams.decode import Batch
from streams.errors import PositionLost
from streams.steps import ROWS_WRITTEN, reach

T = TypeVar("T")
#: After a fail-over the old server may still be a replica.
_PASSING = (*PASSING, psycopg.errors.ReadOnlySqlTransaction)
# Only where it is missing: an insert that conflicts would use up a number each time.
_MEET = sql.SQL(
    "insert into {0} (log_id, partition, applied_offset) select %s, %s, -1 "
    "where not exists (select from {0} where log_id = %s and partition = %s) "
    "on conflict do nothing"
)
_OFFSET_BITS = 40
_READ = sql.SQL(
    "select partition, applied_offset, number from {} where log_id = %s "
    "and partition = any(%s) order by partition for update"
)
_ADVANCE = sql.SQL("update {} set applied_offset = %s where log_id = %s and partition = %s")


def place(number: int, offset: int) -> int:
    """Return the column ``place`` of a row, which orders a listener's messages over all logs.

    Parameters
    ----------
    number
        Of the fence of the message's log and partition.
    """
    return (number << _OFFSET_BITS) + offset


class PostgresStore:
    """One connection to PostgreSQL that is made again after an error.

    Parameters
    ----------
    dsn
        Where; its ``search_path`` names the schema.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection: Connection | None = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            if self._connection is None:
                # Nothing is prepared: PostgreSQL would keep plans that it made for small batches
                # and a small table. With them 17,000 plays in one batch took 25 s instead of 0.4 s.
                self._connection = psycopg.connect(
                    self.dsn, connect_timeout=5, prepare_threshold=None
                )
            with self._connection.transaction():
                yield self._connection
        except psycopg.Error as error:
            self.close()
            if isinstance(error, _PASSING):
                said = trouble(error, self.dsn) or f"PostgreSQL: {first_line(error)}"
                raise StoreUnavailable(str(said)) from None
            raise

    def close(self) -> None:
        """Drop the connection; the next call makes another."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


class PostgresSink(PostgresStore, ABC, Generic[T]):
    """Writes batches of messages to PostgreSQL (a :class:`streams.consume.Sink`).

    Parameters
    ----------
    dsn
        Where; its ``search_path`` names the schema.
    log_id, partitions
        The log the offsets belong to.

    Attributes
    ----------
    fence
        Table of the fence.
    numbers
        Partition -> number of its fence, as of the last transaction.
    """

    fence: ClassVar[str]

    def __init__(self, dsn: str, log_id: str, partitions: int) -> None:
        super().__init__(dsn)
        self.log_id = log_id
        self.partitions = partitions
        self.numbers: dict[int, int] = {}

    @abstractmethod
    def apply(self, connection: Connection, batches: list[Batch[T]]) -> int:
        """Write what is new, inside the transaction that moves the fence; return how much."""

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset`` from the fence."""
        with self._transaction() as connection:
            found = self._standing(connection, list(range(self.partitions)))
        return {p: found[p] + 1 for p in range(self.partitions)}

    def _standing(self, connection: Connection, partitions: list[int]) -> dict[int, int]:
        table = sql.Identifier(self.fence)
        with connection.cursor() as cursor:
            keys = [(self.log_id, p) * 2 for p in sorted(partitions)]
            cursor.executemany(_MEET.format(table), keys)
            found = cursor.execute(_READ.format(table), (self.log_id, partitions)).fetchall()
        self.numbers.update({partition: number for partition, _, number in found})
        return {partition: offset for partition, offset, _ in found}

    def write(self, batches: list[Batch[T]]) -> int:
        """Apply the batches that are new; return what :meth:`apply` does.

        Raises
        ------
        PositionLost
            The fence is before the batches: the table was replaced by an older one.
        StoreUnavailable
            PostgreSQL does not answer.
        """
        with self._transaction() as connection:
            fence = self._standing(connection, [b.partition for b in batches])
            if any(fence[b.partition] + 1 < b.start for b in batches):
                raise PositionLost(f"{self.fence} has offsets {fence}, lower than those read")
            fresh = [b.after(fence[b.partition]) for b in batches if b.last > fence[b.partition]]
            done = self.apply(connection, fresh)
            reach(ROWS_WRITTEN)
            with connection.cursor() as cursor:
                marks = [(b.last, self.log_id, b.partition) for b in fresh]
                cursor.executemany(_ADVANCE.format(sql.Identifier(self.fence)), marks)
        return done
