"""POST /v1/sessions: from a token, or a name and password, to a token that ends by itself."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.account.me import stamp
from api.account.store import ID, run
from api.audit import origin_of
from api.auth import token_of
from api.errors import ApiError, unauthorized, unavailable
from api.lastfm.errors import RATE_LIMIT, TEMPORARILY_UNAVAILABLE, LastfmError
from api.lastfm.sessions import check_password
from api.services import Services
from api.web import SCHEME, Caller, With, answers, body_of, json_reply
from contracts.accounts import ADD_TOKEN, END_SESSION, SESSION_LABEL, token_hash, token_row
from contracts.audit import entry

router = APIRouter(prefix="/v1/sessions", tags=["account"], dependencies=[SCHEME])

#: How long a session lasts; what an administrator may do ends with the working day.
LASTS = timedelta(days=30)
LASTS_ADMIN = timedelta(hours=12)
_MADE_BY = "select roles, expires_at from tokens_v1 where token_hash = %(hash)s"


class SignIn(msgspec.Struct, kw_only=True):
    """Either ``token``, or ``user`` and ``password``."""

    token: Annotated[str, Meta(max_length=512)] | None = None
    user: Annotated[str, Meta(max_length=256)] | None = None
    password: Annotated[str, Meta(max_length=1024)] | None = None


class SessionMade(msgspec.Struct):
    """A token of its own: it has the roles of the token it was made from, or ``listener``."""

    token: str
    user: str
    roles: list[str]
    expires_at: str | None


@router.post(
    "",
    status_code=201,
    responses=answers(SessionMade, 201, "Signed in."),
    openapi_extra=body_of(SignIn),
    summary="Sign in",
)
async def sign_in(request: Request, services: With) -> Response:
    """Make a session. Ten failed passwords of one name within a minute are the most (429)."""
    given = await read_struct(request, SignIn)
    if given.token is not None:
        user, roles, made_by, limit = await _by_token(services, given.token.strip())
    elif given.user is not None and given.password is not None:
        user, roles, made_by, limit = given.user, ["listener"], None, None
        await _by_password(services, user, given.password)
    else:
        raise ApiError(400, "bad-schema", "Send a token, or user and password.", field="token")
    token = secrets.token_urlsafe(32)
    ends = datetime.now(UTC) + (LASTS_ADMIN if "admin" in roles else LASTS)
    ends = ends if limit is None else min(ends, limit)
    values = token_row(token, user, roles, SESSION_LABEL, expires_at=ends, made_by=made_by)
    name = token_hash(token).hex()[:ID]
    row = entry(user, "session.create", user, origin_of(request), token=name)
    await run(services, ADD_TOKEN, values, row)
    return json_reply(SessionMade(token, user, sorted(roles), stamp(ends)), 201)


@router.delete("/current", status_code=204, summary="Sign out", response_class=Response)
async def sign_out(request: Request, services: With, caller: Caller) -> Response:
    """End the session whose token this request carries; other tokens are not ended here."""
    digest = token_hash(token_of(request.scope) or "")
    row = entry(
        caller.user_id, "session.end", caller.user_id, origin_of(request), token=digest.hex()[:ID]
    )
    found = await run(services, END_SESSION, {"token_hash": digest, "label": SESSION_LABEL}, row)
    if not found:
        raise ApiError(409, "no-session", "This token is no session: revoke it by its id.")
    return Response(status_code=204)


async def _by_token(
    services: Services, token: str
) -> tuple[str, list[str], bytes, datetime | None]:
    identity = await services.accounts.identify(token) if token else None
    if identity is None:
        raise unauthorized("This token is not known, or it has ended.")
    digest = token_hash(token)
    rows = await run(services, _MADE_BY, {"hash": digest})
    if not rows:
        raise unauthorized("This token is not known, or it has ended.")
    return identity.user_id, list(rows[0][0]), digest, rows[0][1]


async def _by_password(services: Services, user: str, password: str) -> None:
    try:
        await check_password(services, user, password)
    except LastfmError as error:
        if error.code == RATE_LIMIT:
            message = "Too many failed attempts for this name: wait a minute."
            raise ApiError(429, "too-many-attempts", message, retry_after=60) from None
        if error.code == TEMPORARILY_UNAVAILABLE:
            raise unavailable("The accounts cannot be read") from None
        raise unauthorized("The name or the password is wrong.") from None
