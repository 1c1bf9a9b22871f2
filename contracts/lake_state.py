"""The state of the lake's tables: ``python -m contracts.lake_state [TABLE]`` prints it as JSON.

The settings say where the lake is (``SEGUE_HOME``, ``SEGUE_LAKE``).

It is a program because opening a Delta table imports some 60 MB and holds the interpreter: the API
must not wait for it, nor keep it.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import msgspec

from contracts.errors import StoreUnavailable
from contracts.lake_tables import TablePlace, lake_table, present
from contracts.settings import Settings

#: Files below this size (bytes) are small; the nightly merges them when there are many.
SMALL_FILE_BYTES = 128 * 1024 * 1024
#: So many small files are fine; above, the next nightly merges them.
SMALL_FILES_FINE = 64
#: Versions that are listed of one table, the newest.
MOST_VERSIONS = 100


class LakeTable(msgspec.Struct, kw_only=True):
    """The newest version of a table.

    Attributes
    ----------
    rows
        Deliveries: a play that was sent twice counts twice.
    small_files
        Files below 128 MB; above ``small_files_fine`` of them the next nightly merges them.
    trouble
        Why the table cannot be read; then the rest is 0.
    """

    name: str
    version: int = 0
    committed_at: str = ""
    files: int = 0
    rows: int = 0
    bytes: int = 0
    small_files: int = 0
    small_files_fine: int = SMALL_FILES_FINE
    trouble: str = ""


class LakeVersion(msgspec.Struct, kw_only=True):
    """A commit: what happened to a table, and how much it added."""

    version: int
    at: str
    operation: str
    rows: int
    files: int


def tables(settings: Settings) -> list[LakeTable]:
    """Return the tables of a lake by name; an unreadable one has the reason."""
    return [_table(place) for place in present(settings)]


def versions(place: TablePlace) -> list[LakeVersion]:
    """Return the newest commits of a table, the newest first."""
    table = place.open()
    if table is None:
        return []
    return [
        LakeVersion(
            version=int(entry["version"]),
            at=_time(entry["timestamp"]),
            operation=str(entry.get("operation", "")),
            rows=int((entry.get("operationMetrics") or {}).get("num_added_rows", 0)),
            files=_files(entry.get("operationMetrics") or {}),
        )
        for entry in table.history(MOST_VERSIONS)
    ]


def _table(place: TablePlace) -> LakeTable:
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    try:
        table = place.open()
        if table is None:
            return LakeTable(name=place.name, trouble="the table is gone")
        actions = pa.table(table.get_add_actions(flatten=True))
        newest = table.history(1)[0]
    except (StoreUnavailable, DeltaError, OSError, IndexError) as error:
        return LakeTable(name=place.name, trouble=str(error))
    sizes = actions["size_bytes"].to_pylist()
    return LakeTable(
        name=place.name,
        version=table.version(),
        committed_at=_time(newest["timestamp"]),
        files=len(sizes),
        rows=sum(actions["num_records"].to_pylist()),
        bytes=sum(sizes),
        small_files=sum(size < SMALL_FILE_BYTES for size in sizes),
    )


def _files(metrics: dict[str, int]) -> int:
    return int(metrics.get("num_added_files", metrics.get("numFilesAdded", 0)))


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def main(table: str = "") -> None:
    """Print the tables of the lake, or the versions of one of them."""
    settings = Settings.from_env()
    found = versions(lake_table(settings, table)) if table else tables(settings)
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
