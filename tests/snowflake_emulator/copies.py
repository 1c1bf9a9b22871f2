"""COPY INTO a table FROM files of a stage, with load metadata; fakesnow copies without."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from tests.snowflake_emulator.account import METADATA
from tests.snowflake_emulator.statements import bare, select, stage_folder

#: What load metadata is in DuckDB's words.
_METADATA = {
    "FILENAME": "'{path}'",
    "FILE_ROW_NUMBER": "file_row_number + 1",
    "START_SCAN_TIME": "cast(now() as timestamptz)",
}
_COPY = re.compile(
    r"COPY\s+INTO\s+(?P<table>[\w.]+)\s+FROM\s+@(?P<stage>[\w.]+)\s+FILES\s*=\s*"
    r"\((?P<files>[^)]*)\)\s+(?P<rest>.*INCLUDE_METADATA.*)",
    re.I | re.S,
)


def copy_file(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    metadata: dict[str, str],
    path: str,
    file: Path,
) -> int:
    """Append a Parquet file by column name and return its rows; all of it or nothing."""
    extra = "".join(
        f", {_METADATA[what].format(path=path)} as {column}" for column, what in metadata.items()
    )
    rows = connection.execute(
        f"insert into {table} by name select * exclude (file_row_number){extra} "
        "from read_parquet(?, file_row_number = true)",
        [str(file)],
    )
    return int(rows.fetchall()[0][0])


def copied(sql: str, connection: duckdb.DuckDBPyConnection) -> str | None:
    """Carry out such a statement; return one that gives Snowflake's answer, ``None`` for others.

    Files loaded before are loaded again: only ``FORCE = TRUE`` is sent here.

    Raises
    ------
    duckdb.Error, OSError
        A file is missing or does not fit.
    """
    found = _COPY.match(bare(sql))
    if found is None:
        return None
    assert re.search(r"FORCE\s*=\s*TRUE", found["rest"], re.I), "a load history is not kept here"
    metadata = {column.upper(): what.upper() for column, what in METADATA.findall(found["rest"])}
    answer: list[tuple[str | int, ...]] = []
    for path in re.findall(r"'([^']+)'", found["files"]):
        file = stage_folder(found["stage"]) / path
        if not file.exists():
            raise OSError(f"Remote file '{path}' was not found.")
        rows = copy_file(connection, found["table"], metadata, path, file)
        answer.append((path, "LOADED", rows, rows))
    return select(["file", "status", "rows_parsed", "rows_loaded"], answer)
