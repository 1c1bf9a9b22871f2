"""The lake sink: appends plays, feedback and impressions to their Delta tables, exactly once.

One flush is one commit. It carries, per partition, the Delta transaction ``app_id -> last offset``
(:mod:`contracts.lake`), which is also where the sink resumes: rows and offsets cannot come apart.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from typing import Any, Generic, TypeVar

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from contracts import object_store
from contracts.errors import StoreUnavailable
from contracts.lake import PARTITION_BY, RESULTS, app_id, whole_id
from contracts.lake_tables import TablePlace, encodings, lake_table
from contracts.settings import Settings
from contracts.workers import LAKE_SINK
from streams.consume import Follower, follow_together
from streams.decode import Batch
from streams.errors import PositionLost
from streams.lake_rows import to_table
from streams.shared import SharedFollower
from streams.worker import Worker, run_worker

T = TypeVar("T")
#: Longest time for a request to object storage: the library repeats one that takes longer once, and
#: a worker that has to stop may wait for both (`streams.worker.STOP_SECONDS`).
_REQUEST_SECONDS = 8.0


class LakeSink(Generic[T]):
    """Appends batches of messages to a Delta table.

    Parameters
    ----------
    place
        The table, named as in :data:`contracts.lake.TABLES`; made by the first write.
    log_id
        Identity of the log the offsets belong to.
    partitions
        Of that log.
    """

    def __init__(self, place: TablePlace, log_id: str, partitions: int) -> None:
        self.place = place
        self.log_id = log_id
        self.partitions = partitions
        # Positions found so far in one version of the table: the library replays the table's log
        # for each partition it is asked about.
        self._version = ("", -1)
        self._known: dict[int, int] = {}

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset`` of the table's newest version."""
        table = self.place.open()
        every = range(self.partitions)
        return dict.fromkeys(every, 0) if table is None else self._positions(table, every)

    def write(self, batches: list[Batch[T]]) -> int:
        """Append the rows of the batches (one per partition) in one commit; return their number.

        Raises
        ------
        PositionLost
            Another sink has written since the last flush, or the table was replaced.
        StoreUnavailable
            The table cannot be written now.
        """
        table = self.place.open() or self._create()
        standing = self._positions(table, [b.partition for b in batches])
        if all(standing[b.partition] == b.last + 1 for b in batches):
            return 0  # an earlier attempt did get through although it reported an error
        if any(standing[b.partition] != b.start for b in batches):
            raise PositionLost(f"the lake has offsets {standing}: another sink may write to it")
        rows = to_table(self.place.name, batches, self.log_id, int(time.time() * 1000))
        marks = [Transaction(app_id(self.log_id, b.partition), b.last) for b in batches] + [
            Transaction(whole_id(self.log_id, b.partition), b.lost_to) for b in batches if b.lost_to
        ]
        identity, version = self._version
        with self._committing():
            # This version of the table, not its address: with the address the library would append
            # to the newest version, whose offsets may differ from those compared above.
            write_deltalake(
                table,
                rows,
                mode="append",
                partition_by=PARTITION_BY,
                writer_properties=encodings(table),
                commit_properties=CommitProperties(app_transactions=marks),
            )
        if table.version() == version + 1:  # no other process has committed in between
            self._version = (identity, version + 1)
            self._known.update({b.partition: b.last + 1 for b in batches})
        return int(rows.num_rows)

    def _create(self) -> DeltaTable:
        """Create the empty table: if two appends created it, the library would refuse neither."""
        with self._committing():
            DeltaTable.create(
                self.place.uri,
                to_table(self.place.name, [], self.log_id, 0).schema,
                mode="ignore",
                partition_by=PARTITION_BY,
                storage_options=self.place.options or None,
            )
            return DeltaTable(self.place.uri, storage_options=self.place.options or None)

    def _positions(self, table: DeltaTable, partitions: Collection[int]) -> dict[int, int]:
        """Return ``partition -> next offset`` of this version of the table."""
        try:
            version = (str(table.metadata().id), table.version())
            if version != self._version:
                self._version, self._known = version, {}
            for p in partitions:
                if p not in self._known:
                    last = table.transaction_version(app_id(self.log_id, p))
                    self._known[p] = 0 if last is None else last + 1
        except (DeltaError, OSError) as error:
            raise self.place.trouble(error) from None
        return {p: self._known[p] for p in partitions}

    @contextlib.contextmanager
    def _committing(self) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise StoreUnavailable(f"another commit to the lake came first: {error}") from None
        except (DeltaError, OSError) as error:
            raise self.place.trouble(error) from None


def body(worker: Worker) -> None:
    """Follow the three topics into the lake until the worker has to stop.

    A thread each, since each has a table, and so a commit, of its own. Should one of them have to
    end, the others flush and end too, and the worker starts again as a whole.
    """
    settings, topics = worker.settings, worker.topics
    worker.patiently(lambda: object_store.check(settings), "lake")
    logs = worker.find_logs()
    followers = []
    kind = SharedFollower if settings.shared_sinks else Follower
    results = tuple(topics.results[name] for name in RESULTS) if settings.flink else ()
    for topic in (*topics.landed, *results):
        place = lake_table(settings, topic.kind.table).within(_REQUEST_SECONDS)
        sink = LakeSink[Any](place, logs[topic], settings.partitions)
        followers.append(
            kind(
                worker,
                topic,
                logs[topic],
                sink,
                seconds=settings.lake_seconds,
                rows=settings.lake_rows,
            )
        )
    follow_together(worker, followers)


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, LAKE_SINK.name, body)
