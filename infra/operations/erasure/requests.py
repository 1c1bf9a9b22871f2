"""The table of erasure requests. The API or a command adds one; `erasure.run` executes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from contracts.accounts import REVOKE_ALL
from contracts.audit import INSERT, entry
from contracts.erasure_requests import ASK
from contracts.erasure_requests import request as erasure_of

Connection = psycopg.Connection[tuple[Any, ...]]

#: Seconds a request waits before it is worked on: by then no API process still trusts a token
#: that was revoked with it.
SETTLE_SECONDS = 3
#: Key of the advisory lock of whoever processes requests, or keeps others from doing so.
LOCK_KEY = "hashtext(current_schema() || '.erasures')"

_OPEN = """
    select id, user_id, event_id, before_ms, steps, ends from erasures
    where state <> 'done' and requested_at <= now() - make_interval(secs => %s)
    order by requested_at
"""

_BEGIN = """
    update erasures set state = 'running', ends = %s, steps = '{}',
        before_ms = floor(extract(epoch from clock_timestamp()) * 1000)::bigint
    where id = %s returning before_ms
"""


@dataclass(slots=True)
class Request:
    """One open request.

    Attributes
    ----------
    steps
        Step -> what it removed, for the steps that are finished.
    ends
        Log id -> end offset of each partition: which messages the request erases. ``None`` until
        it is begun.
    """

    id: UUID
    user_id: str
    event_id: UUID | None
    before_ms: int | None
    steps: dict[str, dict[str, int]]
    ends: dict[str, list[int]] | None = None


def ask(connection: Connection, user_id: str, *, actor: str, origin: str) -> UUID:
    """Ask for a listener to be forgotten: no token works any more, and the request is on record.

    Asking twice gives the same request.
    """
    with connection.transaction():
        connection.execute(REVOKE_ALL, {"user": user_id})
        found = connection.execute(ASK, erasure_of(user_id)).fetchone()
        assert found is not None
        request: UUID = found[0]
        row = entry(actor, "data.erase", user_id, origin, "requested", request=str(request))
        connection.execute(INSERT, row)
    return request


def pending(connection: Connection, settle: float = SETTLE_SECONDS) -> list[Request]:
    """Return the requests to be worked on, oldest first."""
    return [Request(*row) for row in connection.execute(_OPEN, (settle,)).fetchall()]


def begin(connection: Connection, request: Request, ends: dict[str, list[int]]) -> None:
    """Fix which messages and rows a request erases: up to these offsets, and up to now.

    The time is PostgreSQL's own, which also stamps the rows it is compared with.
    """
    begun = connection.execute(_BEGIN, (Jsonb(ends), request.id)).fetchone()
    assert begun is not None
    (request.before_ms,) = begun
    request.ends, request.steps = ends, {}


def note(connection: Connection, request: Request, step: str, removed: dict[str, int]) -> None:
    """Write down that a step is finished."""
    request.steps[step] = removed
    connection.execute(
        "update erasures set steps = %s, waiting_for = '' where id = %s",
        (Jsonb(request.steps), request.id),
    )


def repeat(connection: Connection, request: Request, steps: Iterable[str]) -> None:
    """Have finished steps done again."""
    for step in steps:
        request.steps.pop(step, None)
    connection.execute(
        "update erasures set steps = %s where id = %s", (Jsonb(request.steps), request.id)
    )


def wait(connection: Connection, request: Request, reason: str) -> None:
    """Record what a request waits for."""
    connection.execute(
        "update erasures set waiting_for = %s where id = %s", (reason[:500], request.id)
    )


def finish(connection: Connection, request: Request, *, actor: str, origin: str) -> None:
    """Close a request: delete the name from the table, record the end in the audit trail."""
    action = "data.erase" if request.event_id is None else "play.delete"
    with connection.transaction():
        row = entry(actor, action, request.user_id, origin, "done", request=str(request.id))
        connection.execute(INSERT, row)
        connection.execute(
            "update erasures set state = 'done', user_id = null, finished_at = now(),"
            " waiting_for = '' where id = %s",
            (request.id,),
        )
