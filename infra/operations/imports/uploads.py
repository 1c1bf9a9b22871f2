"""Uploaded files: which one is next, how far it is, and what became of it (table ``imports``)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from contracts.accounts import ADD_ACCOUNT, ADD_TOKEN, LISTENER_ROLE, token_hash, token_row
from contracts.imports import IMPORT_LABEL, folder_of
from infra.operations.imports.checkpoint import State
from infra.operations.imports.run import ImportReport

Connection = psycopg.Connection[tuple[Any, ...]]

#: Refused records that a row shows.
EXAMPLES = 50
#: Characters of the original text of one of them.
_RAW = 300
#: An upload without a row is what a killed API left; it goes after so many seconds.
_ORPHAN_SECONDS = 86_400.0
_TOKEN_LASTS = timedelta(days=7)
_OPEN = """
    select id, user_id, name, private from imports
    where state in ('waiting', 'running') order by requested_at
"""
#: Held by the process that works on an upload; PostgreSQL lets go of it when that process dies.
_LOCK = "select pg_try_advisory_lock(hashtextextended(%(id)s::text, 0))"
_UNLOCK = "select pg_advisory_unlock(hashtextextended(%(id)s::text, 0))"
_IS_OPEN = """
    select exists (select 1 from imports where id = %(id)s and state in ('waiting', 'running'))
"""
_PROGRESS = """
    update imports set state = 'running', read_bytes = %(read)s, kept = %(kept)s,
        dropped = %(dropped)s, rejected = %(rejected)s, formats = %(formats)s
    where id = %(id)s
"""
_DONE = """
    update imports set state = 'done', read_bytes = bytes, kept = %(kept)s, dropped = %(dropped)s,
        rejected = %(rejected)s, formats = %(formats)s, notes = %(notes)s,
        examples = %(examples)s, rejects = %(rejects)s, finished_at = now()
    where id = %(id)s
"""
_FAILED = """
    update imports set state = 'failed', problem = %(problem)s, reason = %(reason)s,
        finished_at = now()
    where id = %(id)s
"""
_REVOKE = """
    update tokens set revoked_at = coalesce(revoked_at, now()) where token_hash = %(token_hash)s
"""


class Upload(NamedTuple):
    """An upload that waits or was interrupted."""

    id: UUID
    user: str
    name: str
    private: bool

    def file(self, uploads: Path) -> Path:
        """Return where the API put it."""
        return folder_of(uploads, self.user) / str(self.id)


@contextmanager
def claimed(connection: Connection) -> Iterator[Upload | None]:
    """Take the oldest upload that no other process works on; ``None``: there is none."""
    for row in connection.execute(_OPEN.encode()).fetchall():
        upload = Upload(*row)
        if not _yes(connection, _LOCK, upload):
            continue
        try:
            if _yes(connection, _IS_OPEN, upload):
                yield upload
                return
        finally:
            if not connection.closed:
                connection.execute(_UNLOCK, {"id": upload.id})
    yield None


@contextmanager
def token_for(connection: Connection, user: str) -> Iterator[str]:
    """Make a token that may post a listener's plays, and revoke it afterwards."""
    token = secrets.token_urlsafe(32)
    ends = datetime.now(UTC) + _TOKEN_LASTS
    connection.execute(ADD_ACCOUNT, {"user": user})
    row = token_row(token, user, [LISTENER_ROLE], IMPORT_LABEL, expires_at=ends)
    connection.execute(ADD_TOKEN, row)
    try:
        yield token
    finally:
        if not connection.closed:
            connection.execute(_REVOKE, {"token_hash": token_hash(token)})


def note_progress(connection: Connection, upload: Upload, read: int, state: State) -> None:
    """Write down how far an import is."""
    values = {"id": upload.id, "read": read, **_counts(state)}
    connection.execute(_PROGRESS, values)


def note_done(connection: Connection, upload: Upload, report: ImportReport) -> None:
    """Write down what an import did, with the first refused records."""
    rejects = Path(report.rejects_file) if report.rejects_file else None
    values = {
        "id": upload.id,
        **_counts(report),
        "notes": [_storable(note) for note in report.notes],
        "examples": Jsonb(_examples(rejects) if rejects else []),
        "rejects": rejects.parent.name if rejects else "",
    }
    connection.execute(_DONE, values)


def note_failed(connection: Connection, upload: Upload, reason: str, problem: str) -> None:
    """Write down why a file was not imported."""
    connection.execute(_FAILED, {"id": upload.id, "reason": reason, "problem": _storable(problem)})


def sweep(connection: Connection, uploads: Path) -> int:
    """Delete uploaded files that no open import needs; return how many."""
    if not uploads.is_dir():
        return 0
    needed = {str(row[0]) for row in connection.execute(_OPEN.encode()).fetchall()}
    old = time.time() - _ORPHAN_SECONDS
    gone = 0
    for file in uploads.glob("*/*"):
        if file.name not in needed and file.stat().st_mtime < old:
            file.unlink(missing_ok=True)
            gone += 1
    return gone


def _counts(done: State | ImportReport) -> dict[str, Any]:
    return {
        "kept": done.kept,
        "dropped": Jsonb(done.dropped),
        "rejected": Jsonb(done.rejected),
        "formats": done.formats,
    }


def _examples(rejects: Path) -> list[dict[str, Any]]:
    found = []
    with rejects.open("rb") as lines:
        for _, line in zip(range(EXAMPLES), lines, strict=False):
            reject = msgspec.json.decode(line)
            shown = {key: reject[key] for key in ("record", "reason", "detail")}
            found.append(shown | {"raw": _storable(str(reject["raw"])[:_RAW])})
    return found


def _storable(text: str) -> str:
    """Return a text that PostgreSQL can keep: names in an archive may hold anything."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _yes(connection: Connection, statement: str, upload: Upload) -> bool:
    row = connection.execute(statement.encode(), {"id": upload.id}).fetchone()
    return bool(row and row[0])
