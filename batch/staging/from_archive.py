"""Staging from the archive: every kept answer becomes rows once, without calling the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from batch.collectors.archive import ArchivedAnswer, days, read
from batch.collectors.plays import Refused
from batch.staging import lastfm_rows, listenbrainz_rows, spotify_rows
from batch.staging.load import Loaded, Loader, reject
from batch.staging.tables import ALL, Row, Table

Staged = tuple[Table, Row] | Refused
#: How each source's answers become rows.
READERS: dict[str, Callable[[ArchivedAnswer], Iterable[Staged]]] = {
    "lastfm": lastfm_rows.rows_of,
    "spotify": spotify_rows.rows_of,
    "listenbrainz": listenbrainz_rows.rows_of,
}
#: Answers per transaction.
_ANSWERS = 500


@dataclass(slots=True)
class StagedArchive:
    """What a staging run did: answers read, and rows by table."""

    answers: int = 0
    tables: dict[str, Loaded] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


def stage_archive(
    connection: psycopg.Connection[Any], folder: Path, *, again: bool = False
) -> StagedArchive:
    """Stage the answers of one source that were not staged yet.

    The place in each file moves in the transaction that writes the rows, so a kill at any point
    leaves neither gap nor duplicate.

    Parameters
    ----------
    connection
        In autocommit mode.
    folder
        ``<home>/staging/<source>``; its name is the source.
    again
        Begin at the start of every file (after a change of the reader). Upserts make it harmless.
    """
    source = folder.name
    reader = READERS[source]
    loaders = {table.name: Loader(connection, table) for table in ALL}
    result = StagedArchive(tables={name: each.loaded for name, each in loaders.items()})
    for path in days(folder):
        file = f"{path.parent.name}/{path.name}"
        if again:
            connection.execute(
                "delete from staged_through where source = %s and file = %s", (source, file)
            )
        done = connection.execute(
            "select bytes from staged_through where source = %s and file = %s", (source, file)
        ).fetchone()
        for end, records in _batches(read(path, done[0] if done else 0)):
            with connection.transaction():
                _stage(connection, source, records, reader, loaders, result)
                connection.execute(
                    "insert into staged_through values (%s, %s, %s) "
                    "on conflict (source, file) do update set bytes = excluded.bytes",
                    (source, file, end),
                )
            result.answers += len(records)
    return result


def _batches(
    records: Iterator[tuple[int, ArchivedAnswer]],
) -> Iterator[tuple[int, list[ArchivedAnswer]]]:
    while batch := list(islice(records, _ANSWERS)):
        yield batch[-1][0], [record for _, record in batch]


def _stage(
    connection: psycopg.Connection[Any],
    source: str,
    records: list[ArchivedAnswer],
    reader: Callable[[ArchivedAnswer], Iterable[Staged]],
    loaders: dict[str, Loader],
    result: StagedArchive,
) -> None:
    rows: dict[str, list[Row]] = {name: [] for name in loaders}
    for record in records:
        for staged in reader(record):
            if isinstance(staged, Refused):
                result.refused[staged.reason] = result.refused.get(staged.reason, 0) + 1
                target = record.params.get("method", record.path)
                reject(connection, source, target, staged.reason, staged.detail, staged.raw)
            else:
                rows[staged[0].name].append(staged[1])
    for name, found in rows.items():
        loaders[name].load(found)
