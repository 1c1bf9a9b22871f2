"""Reading and tending the lake: versions, as-of, counts, compaction, retention.

The sink, another process, appends while we read. Delta makes that safe: a :class:`Snapshot` names
the files of one version, those files never change, and :meth:`Lake.vacuum` removes a file only
when it has been out of the newest version for longer than the retention.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from batch.lake_copies import LakeCopies
from contracts.errors import ConfigurationError
from contracts.lake import CATALOGUE, RESULTS, TABLES
from contracts.lake_tables import TablePlace, encodings, lake_table
from contracts.settings import Settings

#: How long a file stays after compaction replaced it: how far time travel reaches.
RETENTION = timedelta(days=30)
#: A two-second sink leaves some 43,000 files a day; past this many small ones, rewrite them.
COMPACT_ABOVE_FILES = 64
#: Files of at least this size (bytes) are left alone by compaction.
TARGET_FILE_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of the table: what a whole nightly reads.

    Attributes
    ----------
    version
        Delta version, from 0.
    files
        The Parquet files that make the version up, in a stable order: paths, or addresses in object
        storage, of which :meth:`Lake.fetch` makes copies.
    rows, bytes
        Of those files; ``rows`` counts deliveries, so a play sent twice counts twice.
    committed_at
        When the version was committed (UTC).
    """

    version: int
    files: tuple[str, ...]
    rows: int
    bytes: int
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry of the history: what happened to the table, and when (UTC)."""

    version: int
    at: datetime
    operation: str
    rows: int
    files: int


class Lake:
    """One Delta table of the lake.

    Parameters
    ----------
    place
        Where the table is stored; it need not exist yet.
    copies
        Copies of its files on this host's disk; ``None``: the files are on disk themselves.
    """

    def __init__(self, place: TablePlace, copies: LakeCopies | None = None) -> None:
        self.place = place
        self._copies = copies

    @classmethod
    def of(cls, settings: Settings, name: str) -> Lake:
        """Return a table of a deployment."""
        return cls(lake_table(settings, name), LakeCopies.of(settings, name))

    @classmethod
    def plays(cls, settings: Settings) -> Lake:
        """Return the table of plays."""
        return cls.of(settings, "plays")

    @classmethod
    def all(cls, settings: Settings) -> dict[str, Lake]:
        """Return every table that the warehouse reads, by name."""
        return {name: cls.of(settings, name) for name in (*TABLES, *RESULTS, *CATALOGUE)}

    @classmethod
    def newest(cls, settings: Settings) -> dict[str, Snapshot | None]:
        """Return :meth:`on_disk` of every table."""
        return {name: lake.on_disk() for name, lake in cls.all(settings).items()}

    def on_disk(self) -> Snapshot | None:
        """Return the newest version with its files on disk; ``None`` if there is no table."""
        snapshot = self.snapshot()
        return None if snapshot is None else self.fetch(snapshot)

    def fetch(self, snapshot: Snapshot) -> Snapshot:
        """Return a version whose files are on disk: copied there if they are in object storage.

        Raises
        ------
        StoreUnavailable
            A file cannot be read.
        """
        if self._copies is None:
            return snapshot
        return replace(snapshot, files=self._copies.fetch(snapshot.files))

    def drop_copies(self, keep: Snapshot | None) -> None:
        """Delete the copies of files that a version does not have."""
        if self._copies is not None:
            self._copies.drop(() if keep is None else keep.files)

    def snapshot(
        self, *, version: int | None = None, as_of: datetime | None = None
    ) -> Snapshot | None:
        """Return one version of the table, the newest by default; ``None`` if there is no table.

        Parameters
        ----------
        version, as_of
            At most one of them. ``as_of`` gives the last version committed at or before it.

        Raises
        ------
        ConfigurationError
            The version does not exist, or ``as_of`` lies before the first one.
        StoreUnavailable
            The table cannot be read.
        """
        if version is not None and as_of is not None:
            raise ConfigurationError("give a lake version or a time, not both")
        table = self.place.open()
        if table is None:
            return None
        newest = table.version()
        if as_of is not None:
            version = self._version_at(_times(table), as_of)
        elif version is None:
            version = newest
        if not 0 <= version <= newest:
            raise ConfigurationError(
                f"lake version {version} does not exist: {self.place.name} has 0 to {newest}"
            )
        # Asked of the newest version: after load_as_version, history() misnumbers its entries. And
        # no further back than needed: a sink leaves tens of thousands of commits a day.
        committed_at = _times(table, newest - version + 1)[version]
        if version < newest:
            try:
                table.load_as_version(version)
            except DeltaError as error:
                raise self.place.trouble(error) from None
        actions = pa.table(table.get_add_actions(flatten=True))
        files = sorted(f"{self.place.uri}/{unquote(p)}" for p in actions["path"].to_pylist())
        return Snapshot(
            version=version,
            files=tuple(files),
            rows=sum(actions["num_records"].to_pylist()),
            bytes=sum(actions["size_bytes"].to_pylist()),
            committed_at=committed_at,
        )

    def _version_at(self, times: dict[int, datetime], as_of: datetime) -> int:
        before = [version for version, at in times.items() if at <= as_of]
        if not before:
            raise ConfigurationError(f"the lake holds nothing as of {as_of.isoformat()}")
        return max(before)

    def history(self, limit: int | None = None) -> list[Commit]:
        """Return the commits, newest first; empty where there is no table."""
        table = self.place.open()
        return [] if table is None else [_commit(entry) for entry in table.history(limit)]

    def export(self, snapshot: Snapshot, target: Path) -> int:
        """Write the rows of a version into one Parquet file and return how many.

        The file is there whole or not at all.
        """
        making = target.with_name(f".{target.name}.{os.getpid()}")
        files = self.fetch(snapshot).files
        try:
            with duckdb.connect() as connection:
                connection.execute("set TimeZone = 'UTC'")
                connection.sql(
                    "select * from read_parquet($files, hive_partitioning = true, "
                    "hive_types = {'landed_date': date})",
                    params={"files": list(files)},
                ).write_parquet(str(making), compression="zstd")
            making.replace(target)
        finally:
            making.unlink(missing_ok=True)
        return snapshot.rows

    def compact(self, *, above_files: int = COMPACT_ABOVE_FILES) -> int:
        """Merge small files into large ones and return how many were replaced.

        Rows that the sink appends during a compaction stay: Delta lets both commit. If the sink
        wins the race for a version until the retries are exhausted, nothing is changed and 0 is
        returned; the next nightly tries again.
        """
        table = self.place.open()
        if table is None:
            return 0
        sizes = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
        if sum(size < TARGET_FILE_BYTES for size in sizes) <= above_files:
            return 0
        try:
            metrics = table.optimize.compact(
                target_size=TARGET_FILE_BYTES, writer_properties=encodings(table)
            )
        except CommitFailedError:
            return 0
        return int(metrics["numFilesRemoved"])

    def vacuum(self, retention: timedelta = RETENTION) -> list[str]:
        """Delete files that no version younger than ``retention`` uses; return their names.

        Versions older than that can no longer be read. A retention shorter than the longest
        nightly would pull files from under it, so it must be a day at least.
        """
        if retention < timedelta(days=1):
            raise ConfigurationError(f"lake retention of {retention} is below one day")
        table = self.place.open()
        if table is None:
            return []
        hours = int(retention / timedelta(hours=1))
        return list(
            table.vacuum(retention_hours=hours, enforce_retention_duration=False, dry_run=False)
        )


def _times(table: DeltaTable, newest: int | None = None) -> dict[int, datetime]:
    """Return when each version was committed, or each of so many of the newest."""
    return {int(c["version"]): _time(c["timestamp"]) for c in table.history(newest)}


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _commit(entry: dict[str, Any]) -> Commit:
    metrics = entry.get("operationMetrics") or {}
    return Commit(
        version=int(entry["version"]),
        at=_time(entry["timestamp"]),
        operation=str(entry.get("operation", "")),
        rows=int(metrics.get("num_added_rows", 0)),
        files=int(metrics.get("num_added_files", metrics.get("numFilesAdded", 0))),
    )
