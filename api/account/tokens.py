"""The tokens of one's own account, and of everybody's for an administrator."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.account.me import stamp
from api.account.store import ID, run
from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError, forbidden
from api.lastfm.sessions import LABEL, md5
from api.services import Services
from api.web import Caller, With, answers, body_of, json_reply
from contracts.accounts import (
    ADD_ACCOUNT,
    ADD_TOKEN,
    REVOKE_TOKEN,
    SESSION_LABEL,
    token_hash,
    token_row,
)
from contracts.audit import entry
from contracts.errors import InvalidEvent
from contracts.imports import IMPORT_LABEL
from contracts.listeners import check_new_listener, listener_name

router = APIRouter(prefix="/v1", tags=["account"])

Role = Literal["listener", "client", "analyst", "admin"]
_LIST = """
    select encode(token_hash, 'hex'), user_id, roles, label, created_at, expires_at, revoked_at,
        scrobbler_md5 is not null
    from tokens_v1
    where (%(user)s::text is null or user_id = %(user)s) and label <> all(%(without)s)
    order by revoked_at nulls first, created_at desc limit 500
"""
_FIND = """
    select encode(token_hash, 'hex'), user_id, label, revoked_at from tokens_v1
    where encode(token_hash, 'hex') like %(id)s || '%%'
        and (%(user)s::text is null or user_id = %(user)s)
"""


class TokenInfo(msgspec.Struct):
    """A token as it is listed: the token itself is kept nowhere.

    ``state`` is ``active``, ``expired`` or ``revoked``.
    """

    id: str
    user: str
    roles: list[str]
    label: str
    created_at: str
    expires_at: str | None
    state: str
    scrobbler: bool


class Tokens(msgspec.Struct):
    """Tokens, those that work first, the newest first."""

    tokens: list[TokenInfo]


class TokenIn(msgspec.Struct, kw_only=True):
    """A token to make.

    ``scrobbler``: also for players that hash the password (Last.fm, VLC, mpd). ``user`` and roles
    other than ``listener`` are for administrators.
    """

    label: Annotated[str, Meta(min_length=1, max_length=100)]
    expires_days: Annotated[int, Meta(ge=1, le=3650)] | None = None
    scrobbler: bool = False
    user: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    roles: Annotated[list[Role], Meta(min_length=1, max_length=4)] = msgspec.field(
        default_factory=lambda: ["listener"]
    )


class TokenMade(msgspec.Struct):
    """The token, shown this once."""

    token: str
    info: TokenInfo


@router.get("/me/tokens", responses=answers(Tokens), summary="My tokens")
async def my_tokens(services: With, caller: Caller) -> Response:
    """List the tokens of the account; sessions of browsers are not among them."""
    caller.check_owns_account()
    return await _list(services, caller.user_id)


@router.get("/tokens", responses=answers(Tokens), summary="Everybody's tokens")
async def all_tokens(services: With, caller: Caller, user: str | None = None) -> Response:
    """List tokens of every account, or of one (administrators)."""
    caller.check_role("admin")
    return await _list(services, user)


@router.post(
    "/me/tokens",
    status_code=201,
    responses=answers(TokenMade, 201, "Made; it is not shown again."),
    openapi_extra=body_of(TokenIn),
    summary="Make a token",
)
async def make_token(request: Request, services: With, caller: Caller) -> Response:
    """Make a token of the account, or of another (administrators)."""
    given = await read_struct(request, TokenIn)
    user = listener_name(given.user) if given.user else caller.user_id
    _check_may_make(caller, user, given)
    try:
        check_new_listener(user)
    except InvalidEvent as error:
        raise ApiError(400, error.reason, str(error), field="user") from None
    token = secrets.token_urlsafe(32)
    digest = token_hash(token).hex()
    days, now = given.expires_days, datetime.now(UTC)
    expires = None if days is None else now + timedelta(days=days)
    roles: list[str] = sorted(set(given.roles))
    proof = md5(token) if given.scrobbler else None
    values = token_row(token, user, roles, given.label, expires_at=expires, scrobbler_md5=proof)
    row = entry(
        caller.user_id, "key.create", user, origin_of(request), token=digest[:ID], roles=roles
    )
    if user != caller.user_id:
        await run(services, ADD_ACCOUNT, {"user": user})
    await run(services, ADD_TOKEN, values, row)
    info = _shown((digest, user, roles, given.label, now, expires, None, given.scrobbler))
    return json_reply(TokenMade(token, info), 201)


@router.delete(
    "/me/tokens/{token_id}", status_code=204, summary="Revoke a token", response_class=Response
)
async def revoke_token(request: Request, services: With, caller: Caller, token_id: str) -> Response:
    """Revoke a token by its id, with the sessions made from it; of others for administrators."""
    caller.check_owns_account()
    owner = None if "admin" in caller.roles else caller.user_id
    good = 6 <= len(token_id) <= 64 and all(c in "0123456789abcdef" for c in token_id)
    rows = await run(services, _FIND, {"id": token_id, "user": owner}) if good else []
    if len(rows) != 1:
        raise ApiError(404, "unknown-token", f"You have no token with the id {token_id!r}.")
    digest, user, _, _ = rows[0]
    row = entry(caller.user_id, "key.revoke", user, origin_of(request), token=digest[:ID])
    await run(services, REVOKE_TOKEN, {"token_hash": bytes.fromhex(digest)}, row)
    return Response(status_code=204)


def _check_may_make(caller: Identity, user: str, given: TokenIn) -> None:
    if "admin" in caller.roles:
        return
    if user != caller.user_id or given.roles != ["listener"] or "listener" not in caller.roles:
        raise forbidden("Only an administrator makes tokens of other accounts or other roles.")


async def _list(services: Services, user: str | None) -> Response:
    values = {"user": user, "without": [SESSION_LABEL, LABEL, IMPORT_LABEL]}
    return json_reply(Tokens([_shown(row) for row in await run(services, _LIST, values)]))


def _shown(row: tuple[Any, ...]) -> TokenInfo:
    digest, user, roles, label, created, expires, revoked, scrobbler = row
    over = expires is not None and expires <= datetime.now(UTC)
    state = "revoked" if revoked is not None else "expired" if over else "active"
    return TokenInfo(
        digest[:ID], user, sorted(roles), label, stamp(created) or "", stamp(expires), state,
        scrobbler,
    )  # fmt: skip
