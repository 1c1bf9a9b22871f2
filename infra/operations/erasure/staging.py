"""What was fetched from other services about the listener, and what imports kept."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from batch.collectors.archive import Archive, ArchivedAnswer, days, read
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.ids import user_key
from contracts.settings import Settings
from infra.operations.erasure.target import Target
from infra.operations.imports import erase as imports

Connection = psycopg.Connection[tuple[Any, ...]]


def forget(settings: Settings, connection: Connection, target: Target) -> dict[str, int]:
    """Take a listener's answers out of every archive, and the checkpoints of the walks.

    A source has its own names; data collected under another name than the listener's here cannot
    be distinguished from a stranger's, and stays (see the ADR).

    Raises
    ------
    StoreUnavailable
        A collector is writing to the archive, or an import runs: try again after it.
    """
    folder = settings.paths.staging
    answers = checkpoints = 0
    if folder.is_dir():
        for source in sorted(path for path in folder.iterdir() if path.is_dir()):
            answers += _archive(source, connection, target.user_id)
            checkpoints += _checkpoints(source, target.user_id)
    rejects = imports.forget(settings.home, target.user_id)
    return {"answers": answers, "checkpoints": checkpoints, "rejects": rejects}


def _archive(source: Path, connection: Connection, user: str) -> int:
    if not days(source):
        return 0
    try:
        with Archive(source):  # holds its lock while files are replaced
            count = sum(_rewrite(source, path, connection, user) for path in days(source))
            if count:  # held answers are a convenience: the source is asked once more
                for path in source.glob("cache.sqlite*"):
                    path.unlink()
            return count
    except ConfigurationError as error:
        raise StoreUnavailable(str(error)) from None


def _rewrite(source: Path, path: Path, connection: Connection, user: str) -> int:
    records = [record for _, record in read(path)]
    kept = [record for record in records if not _is_about(record, user)]
    if len(kept) == len(records):
        return 0
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        for record in kept:
            line = msgspec.json.encode(record) + b"\n"
            file.write(gzip.compress(line, compresslevel=5, mtime=0))
    # Places in the file have moved: staging reads it once more, which changes nothing.
    connection.execute(
        "delete from staged_through where source = %s and file = %s",
        (source.name, str(path.relative_to(source))),
    )
    aside.replace(path)
    return len(records) - len(kept)


def _is_about(record: ArchivedAnswer, user: str) -> bool:
    return user in record.params.values() or f"-{user_key(user):016x}-" in record.unit


def _checkpoints(source: Path, user: str) -> int:
    count = 0
    for pattern in (f"*-{user_key(f'plays/{user}'):016x}.json", f"{user_key(user):016x}_*.json"):
        for path in (source / "checkpoints").glob(pattern):
            path.unlink()
            count += 1
    return count
