"""The lake sink: appends every play to the Delta table ``plays``, exactly once.

One flush is one commit. It carries, per partition, the Delta transaction ``app_id -> last offset``
(:mod:`contracts.lake`), which is also where the sink resumes: rows and offsets cannot come apart.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from contracts.errors import StoreUnavailable
from contracts.events import Play, Submission
from contracts.lake import PARTITION_BY, PLAYS, app_id
from contracts.settings import Settings
from streams.consume import Follower
from streams.decode import Batch, Record, decode_plays
from streams.errors import PositionLost
from streams.worker import Worker, run_worker

log = logging.getLogger(__name__)


class LakeSink:
    """Appends batches of plays to a Delta table.

    Parameters
    ----------
    path
        Folder of the table; made by the first write.
    log_id
        Identity of the log the offsets belong to.
    partitions
        Of that log.
    """

    def __init__(self, path: Path, log_id: str, partitions: int) -> None:
        self.path = path
        self.log_id = log_id
        self.partitions = partitions

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset`` as the table's newest version says."""
        try:
            table = DeltaTable(self.path)
            found = [
                table.transaction_version(app_id(self.log_id, p)) for p in range(self.partitions)
            ]
        except TableNotFoundError:
            found = [None] * self.partitions
        except (DeltaError, OSError) as error:
            raise StoreUnavailable(f"the lake at {self.path.name}: {error}") from None
        return {p: 0 if last is None else last + 1 for p, last in enumerate(found)}

    def write(self, batches: list[Batch[Submission]]) -> int:
        """Append the plays of the batches in one commit; return how many.

        Raises
        ------
        PositionLost
            Another sink has written meanwhile, or the table was replaced.
        StoreUnavailable
            The table cannot be written now.
        """
        standing = self.positions()
        if all(standing[b.partition] == b.last + 1 for b in batches):
            return 0  # an earlier attempt did get through although it reported an error
        if any(standing[b.partition] != b.start for b in batches):
            raise PositionLost(f"the lake stands at {standing}, another sink may be writing to it")
        rows = to_table(batches, self.log_id, int(time.time() * 1000))
        marks = [Transaction(app_id(self.log_id, b.partition), b.last) for b in batches]
        try:
            write_deltalake(
                self.path,
                rows,
                mode="append",
                partition_by=PARTITION_BY,
                commit_properties=CommitProperties(app_transactions=marks),
            )
        except CommitFailedError as error:
            raise StoreUnavailable(f"another commit to the lake came first: {error}") from None
        except (DeltaError, OSError) as error:
            raise StoreUnavailable(f"the lake at {self.path.name}: {error}") from None
        return int(rows.num_rows)


def to_table(batches: list[Batch[Submission]], log_id: str, landed_at: int) -> pa.Table:
    """Return the plays of the batches as rows of :data:`contracts.lake.PLAYS`."""
    columns: dict[str, list[Any]] = {name: [] for name in PLAYS.names}
    for batch in batches:
        for offset, submission in batch.messages:
            for position, play in enumerate(submission.plays):
                for name in _OF_PLAY:
                    columns[name].append(getattr(play, name))
                columns["extra"].append(None if play.extra is None else _text(play.extra))
                columns["user_id"].append(submission.user_id)
                columns["kafka_partition"].append(batch.partition)
                columns["kafka_offset"].append(offset)
                columns["position"].append(position)
    count = len(columns["position"])
    columns["log_id"] = [log_id] * count
    columns["landed_at"] = [landed_at] * count
    columns["landed_date"] = [datetime.fromtimestamp(landed_at / 1000, UTC).date()] * count
    return pa.table([pa.array(columns[field.name], field.type) for field in PLAYS], schema=PLAYS)


_OF_PLAY = [name for name in Play.__struct_fields__ if name != "extra"]


def _text(extra: dict[str, Any]) -> str:
    return msgspec.json.encode(extra).decode()


def body(worker: Worker) -> None:
    """Follow ``plays`` into the lake until told to stop."""
    settings = worker.settings
    topic, partitions = worker.topics.plays, settings.partitions
    log_id = worker.find_logs()[topic]

    def decode(records: list[Record], partition: int, start: int) -> Batch[Submission]:
        return decode_plays(records, partition=partition, partitions=partitions, start=start)

    Follower(
        worker,
        topic,
        log_id,
        LakeSink(settings.lake_dir / "plays", log_id, partitions),
        decode,
        seconds=settings.lake_seconds,
        rows=settings.lake_rows,
        size=lambda submission: len(submission.plays),
    ).run()


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, "lake-sink", body)
