"""What a listener may ask of a deployment: to be forgotten, and to know how far that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Request, Response
from psycopg_pool import PoolTimeout

from api.account.me import stamp
from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError, forbidden, unavailable
from api.services import Services
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN, ADMIN_ROLE, LISTENER_ROLE, REVOKE_ALL
from contracts.audit import INSERT, entry
from contracts.erasure_requests import ASK
from contracts.erasure_requests import request as erasure_of
from contracts.errors import InvalidEvent
from contracts.listeners import check_user

router = APIRouter(prefix="/v1", tags=["privacy"])
#: Columns of :class:`ErasureStatus`.
ERASURES = "select id, state, steps, waiting_for, requested_at, finished_at from erasures_v1"
_STATUS = f"{ERASURES} where id = %s"


class ErasureAsked(msgspec.Struct):
    """The request is on record, and no token of the listener works any more."""

    id: str
    status: str


class ErasureStatus(msgspec.Struct):
    """How far an erasure is.

    ``state`` is ``pending``, ``running`` or ``done``; ``steps`` list what was removed from each
    store, ``waiting_for`` names what delays the next step.
    """

    id: str
    state: str
    steps: dict[str, dict[str, int]]
    waiting_for: str
    requested_at: str
    finished_at: str | None = None

    @classmethod
    def of(cls, row: Sequence[Any]) -> ErasureStatus:
        """Return a row of :data:`ERASURES`."""
        id_, state, steps, waiting_for, asked, finished = row
        return cls(str(id_), state, steps, waiting_for, stamp(asked) or "", stamp(finished))


@router.delete(
    "/users/{user}",
    status_code=202,
    responses=answers(ErasureAsked, 202, "On record; see the address in `Location`."),
    summary="Forget a listener",
)
async def erase(request: Request, services: With, caller: Caller, user: str) -> Response:
    """Forget everything held of a listener, for ever.

    For the listener and for administrators. The listener's tokens end at once; the eraser deletes
    the data from the stores in the background. A second call returns the same erasure.
    """
    check_own(caller, user)
    if user == ADMIN:
        raise ApiError(409, "own-account", "The administrator's account cannot be erased.")
    asked = await _ask(services, caller, user, origin_of(request))
    place = f"/v1/erasures/{asked}"
    reply = json_reply(ErasureAsked(str(asked), place), 202)
    reply.headers["location"] = place
    return reply


@router.get(
    "/erasures/{request_id}", responses=answers(ErasureStatus), summary="How far is an erasure?"
)
async def status(services: With, request_id: UUID) -> Response:
    """Say how far an erasure is; it names nobody, and its id is proof enough to ask."""
    try:
        async with services.account_pool.connection(timeout=1.0) as connection:
            row = await (await connection.execute(_STATUS, (request_id,))).fetchone()
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("The erasures cannot be read") from None
    if row is None:
        raise ApiError(404, "unknown-erasure", f"There is no erasure {request_id}.")
    return json_reply(ErasureStatus.of(row))


def check_own(caller: Identity, user: str) -> None:
    """Raise unless the caller is this listener or an administrator; clients may not do this."""
    try:
        check_user(user)
    except InvalidEvent as error:
        raise ApiError(400, error.reason, str(error), field="user") from None
    own = caller.user_id == user and LISTENER_ROLE in caller.roles
    if not own and ADMIN_ROLE not in caller.roles:
        raise forbidden(f"Only {user!r} and an administrator may do this.")


async def _ask(services: Services, caller: Identity, user: str, origin: str) -> Any:
    try:
        async with (
            services.account_pool.connection(timeout=1.0) as connection,
            connection.transaction(),
        ):
            await connection.execute(REVOKE_ALL, {"user": user})
            found = await (await connection.execute(ASK, erasure_of(user))).fetchone()
            assert found is not None
            row = entry(
                caller.user_id, "data.erase", user, origin, "requested", request=str(found[0])
            )
            await connection.execute(INSERT, row)
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("The erasure was not recorded") from None
    return found[0]
