"""What the reading endpoints share: who may read, rows of PostgreSQL, numbers of a query string."""

from __future__ import annotations

from typing import Any

import psycopg
from fastapi import Request
from psycopg_pool import PoolTimeout

from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError, bad_value, forbidden, unavailable
from api.listenbrainz.authorize import authorize
from api.listenbrainz.limits import DEFAULT_ITEMS, MAX_ITEMS
from api.services import Services

_KNOWN = """
    select exists (select 1 from accounts_v1 where user_id = %(user)s)
        or exists (select 1 from listen_counts_v1 where user_id = %(user)s)
"""


async def reader_of(
    request: Request, services: Services, user: str, *, plays_only: bool = False
) -> Identity:
    """Return who calls, if that token may read this listener's data; raise 401 or 403.

    Parameters
    ----------
    plays_only
        The answer holds nothing but the listener's plays: the role scrobbler is enough.

    Reading another's data is noted in the audit trail; without the note it may not be read (503).
    """
    identity = await authorize(services.accounts, request.scope)
    allowed = identity.may_scrobble_for if plays_only else identity.may_act_for
    if not allowed(user):
        raise forbidden("This token may not read the listens of another listener.")
    if "\x00" in user:  # nobody has such a name, and no store could note that it was asked for
        raise ApiError(404, "unknown-user", "Cannot find user: its name contains NUL")
    if identity.user_id != user:
        await services.audit.note_reading(identity.user_id, user, origin_of(request))
    return identity


async def check_known(services: Services, user: str) -> None:
    """Raise a 404 for a listener nobody knows."""
    if not (await rows_of(services, _KNOWN, {"user": user}))[0][0]:
        raise ApiError(404, "unknown-user", f"Cannot find user: {user}")


async def rows_of(
    services: Services, query: str, arguments: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows.

    Raises
    ------
    ApiError
        503: PostgreSQL does not answer. 400: PostgreSQL cannot hold a value, with its reason.
    """
    if "\x00" in str(arguments.get("user", "")):
        raise ApiError(404, "unknown-user", "Cannot find user: its name contains NUL")
    try:
        async with services.pool.connection(timeout=1.0) as connection:
            cursor = await connection.execute(query.encode(), arguments)
            return await cursor.fetchall() if cursor.description else []
    except psycopg.DataError as error:
        raise bad_value(error) from None
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("PostgreSQL does not answer") from None


def page_of(count: str | None, offset: str | None) -> tuple[int, int]:
    """Return how many items a page holds and how many come before it; raises as `non_negative`."""
    skipped = non_negative("offset", offset, 0)
    return min(MAX_ITEMS, non_negative("count", count, DEFAULT_ITEMS)), skipped


def non_negative(name: str, text: str | None, default: int) -> int:
    """Return a number of the query string; raise a 400 for anything else."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ApiError(400, "bad-parameter", f"'{name}' should be a non-negative integer")
    return int(text)
