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
from api.errors import ApiError, ErrorBody, unauthorized, unavailable
from api.lastfm.errors import RATE_LIMIT, TEMPORARILY_UNAVAILABLE, LastfmError
from api.lastfm.sessions import open_by_password
from api.services import Services
from api.web import SCHEME, Caller, With, answers, body_of, json_reply
from contracts.accounts import (
    ADD_TOKEN,
    ADMIN_ROLE,
    END_SESSION,
    LISTENER_ROLE,
    PROLONG_SESSION,
    SESSION_LABEL,
    TokenRow,
    token_hash,
    token_row,
)
from contracts.audit import entry
from contracts.listeners import listener_name

router = APIRouter(prefix="/v1/sessions", tags=["account"], dependencies=[SCHEME])

#: How long a session lasts; what an administrator may do ends with the working day.
LASTS = timedelta(days=30)
LASTS_ADMIN = timedelta(hours=12)
#: Age at which a session ends, however much it is used.
LONGEST = timedelta(days=180)
_MAKER = """
    select coalesce(made_by, token_hash), expires_at from tokens_v1
    where token_hash = %(hash)s and revoked_at is null
        and (expires_at is null or expires_at > now())
"""


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


class SessionProlonged(msgspec.Struct):
    """The session as it is now."""

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
    token = secrets.token_urlsafe(32)
    if given.token is not None:
        row = await _by_token(services, token, given.token.strip())
    elif given.user is not None and given.password is not None:
        user = listener_name(given.user)
        row = token_row(
            token, user, [LISTENER_ROLE], SESSION_LABEL, expires_at=datetime.now(UTC) + LASTS
        )
        await _by_password(services, given.password, row, origin_of(request))
    else:
        raise ApiError(400, "bad-schema", "Send a token, or user and password.", field="token")
    made = SessionMade(token, row["user"], sorted(row["roles"]), stamp(row["expires_at"]))
    noted = entry(
        made.user, "session.create", made.user, origin_of(request),
        token=row["token_hash"].hex()[:ID],
    )  # fmt: skip
    await services.audit.record(noted)
    return json_reply(made, 201)


@router.post(
    "/current/prolong",
    responses=answers(SessionProlonged) | answers(ErrorBody, 409, "The token is no session."),
    summary="Stay signed in",
)
async def prolong(request: Request, services: With, caller: Caller) -> Response:
    """Give the session of this request its whole time again, 180 days after sign-in at most.

    A session ends with the token that opened it. An administrator's is never prolonged.
    """
    admin = ADMIN_ROLE in caller.roles
    digest = token_hash(token_of(request.scope) or "")
    values = {
        "token_hash": digest,
        "label": SESSION_LABEL,
        "until": datetime.now(UTC) + (LASTS_ADMIN if admin else LASTS),
        "longest": LASTS_ADMIN if admin else LONGEST,
    }
    rows = await run(services, PROLONG_SESSION, values)
    if not rows:
        raise ApiError(409, "no-session", "This token is not a session: its end is fixed.")
    services.accounts.forget(digest)
    user, roles, ends = rows[0]
    return json_reply(SessionProlonged(user, sorted(roles), stamp(ends)))


@router.delete(
    "/current",
    status_code=204,
    summary="Sign out",
    response_class=Response,
    responses=answers(ErrorBody, 409, "The token is no session."),
)
async def sign_out(request: Request, services: With, caller: Caller) -> Response:
    """End the session whose token this request carries; other tokens are not ended here."""
    digest = token_hash(token_of(request.scope) or "")
    row = entry(
        caller.user_id, "session.end", caller.user_id, origin_of(request), token=digest.hex()[:ID]
    )
    found = await run(services, END_SESSION, {"token_hash": digest, "label": SESSION_LABEL}, row)
    if not found:
        raise ApiError(409, "no-session", "This token is not a session: revoke it by its id.")
    return Response(status_code=204)


async def _by_token(services: Services, session: str, token: str) -> TokenRow:
    """Open a session with a token; it ends with that token, or with the one that opened that."""
    identity = await services.accounts.identify(token) if token else None
    rows = await run(services, _MAKER, {"hash": token_hash(token)}) if identity else []
    if identity is None or not rows:
        raise unauthorized("This token is not known, or it has ended.")
    maker, limit = rows[0]
    roles = sorted(identity.roles)
    ends = datetime.now(UTC) + (LASTS_ADMIN if ADMIN_ROLE in roles else LASTS)
    row = token_row(
        session,
        identity.user_id,
        roles,
        SESSION_LABEL,
        expires_at=ends if limit is None else min(ends, limit),
        made_by=maker,
    )
    await run(services, ADD_TOKEN, row)
    return row


async def _by_password(services: Services, password: str, row: TokenRow, origin: str) -> None:
    try:
        await open_by_password(services, password, row, origin)
    except LastfmError as error:
        if error.code == RATE_LIMIT:
            message = "Too many failed attempts for this name: wait a minute."
            raise ApiError(429, "too-many-attempts", message, retry_after=60) from None
        if error.code == TEMPORARILY_UNAVAILABLE:
            raise unavailable("The accounts cannot be read") from None
        raise unauthorized("The name or the password is wrong.") from None
