"""The sink of one topic: what :class:`streams.consume.Follower` writes to.

It stores no offset of its own. The newest file of each partition in the stage shows what has been
cut and put; the next process finishes it, byte for byte the same range, and continues behind it.
The sink deletes files that newer ones follow and that RAW holds.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from streams.decode import Batch
from streams.errors import PositionLost
from streams.lake_rows import to_table
from streams.snowflake_sink.files import RangeFile, newest
from streams.snowflake_sink.landing import Landing, Outcome
from streams.snowflake_sink.stage import Stage

T = TypeVar("T")


class SnowflakeSink(Generic[T]):
    """Lands batches of one topic.

    Parameters
    ----------
    topic, log_id
        Whose offsets the files are named by.
    table
        One of :data:`contracts.lake.TABLES`.
    size
        How many rows a message makes.
    landed
        Called with the outcome of every flush, and the next offset of its partitions.
    """

    def __init__(
        self,
        stage: Stage,
        landing: Landing,
        topic: str,
        log_id: str,
        table: str,
        partitions: int,
        size: Callable[[T], int],
        landed: Callable[[Outcome, dict[int, int]], None] = lambda outcome, positions: None,
    ) -> None:
        self.stage = stage
        self.landing = landing
        self.topic = topic
        self.log_id = log_id
        self.table = table
        self.partitions = partitions
        self.size = size
        self.landed = landed
        self._kept: set[RangeFile] = set()

    def positions(self) -> dict[int, int]:
        """Finish what an earlier process left and return ``partition -> next offset``.

        Raises
        ------
        StoreUnavailable
            Snowflake does not answer.
        """
        files = self.stage.files(self.topic, self.log_id)
        self._kept = set(self.stage.quarantined())
        outcome = self.landing.finish((f for f in files if f not in self._kept), resumed=True)
        if outcome.quarantined:
            self._kept = set(self.stage.quarantined())
        last = newest(files)
        positions = {p: last[p].last + 1 if p in last else 0 for p in range(self.partitions)}
        self.landed(outcome, positions)
        return positions

    def write(self, batches: list[Batch[T]]) -> int:
        """Put a file for each batch, have them loaded, and return the rows that are in RAW.

        Raises
        ------
        PositionLost
            The stage has other offsets: another sink is writing, or files were deleted.
        StoreUnavailable
            Snowflake does not answer; the next call resumes with the files that were put.
        """
        present = self.stage.files(self.topic, self.log_id)
        standing = newest(present)
        files = {self._file(batch): batch for batch in batches}
        for file, batch in files.items():
            last = standing.get(file.partition)
            if last == file:
                continue  # an earlier attempt got that far
            if (last.last + 1 if last else 0) != file.first:
                raise PositionLost(
                    f"the newest file of the stage is {last and last.path}, and {file.path} does "
                    "not follow it: another sink may be writing to it"
                )
            self.stage.put(file, self._encode(file, batch))
        outcome = self.landing.finish(files, resumed=any(f in present for f in files))
        if outcome.quarantined:
            self._kept = set(self.stage.quarantined())
        self.landed(outcome, {file.partition: file.last + 1 for file in files})
        self._tidy(present, files)
        return outcome.rows

    def _tidy(self, present: list[RangeFile], files: dict[RangeFile, Batch[T]]) -> None:
        """Delete files that the ones just landed have made superfluous."""
        reached = {file.partition: file.first for file in files}
        self.stage.remove(
            file
            for file in present
            if file not in self._kept and file.last < reached.get(file.partition, 0)
        )

    def _file(self, batch: Batch[T]) -> RangeFile:
        rows = sum(self.size(message) for _, message in batch.messages)
        return RangeFile(self.topic, self.log_id, batch.partition, batch.start, batch.last, rows)

    def _encode(self, file: RangeFile, batch: Batch[T]) -> bytes:
        rows: Any = to_table(self.table, [batch], self.log_id, int(time.time() * 1000))
        assert rows.num_rows == file.rows, (rows.num_rows, file)
        rows = rows.append_column("source_file", pa.repeat(file.path, file.rows))
        out = io.BytesIO()
        pq.write_table(rows, out)
        return out.getvalue()
