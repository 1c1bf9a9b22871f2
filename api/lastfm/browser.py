"""Logging in through the browser: a token, a page where the listener agrees, a session."""

from __future__ import annotations

import secrets
from contextlib import suppress
from html import escape
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api.errors import ApiError
from api.http import read_body
from api.lastfm.errors import UNAUTHORIZED_TOKEN, LastfmError, try_again
from api.lastfm.sessions import Session, open_session
from api.services import Services
from api.web import With
from contracts.accounts import consent, read_consent, token_hash
from contracts.redis_client import UNAVAILABLE

router = APIRouter(include_in_schema=False)
#: How long a token waits for the listener's consent (seconds).
LIFE = 3600
#: Value of a token before the consent; the address that asked for it follows.
_WAITING = b"waiting "

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>Segue: connect a player</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui;max-width:30rem;margin:3rem auto;padding:0 1rem}}
input,button{{font:inherit;width:100%;padding:.4rem;margin:.3rem 0;box-sizing:border-box}}</style>
<h1>Connect a player</h1><p>{text}</p>{form}</html>"""
_FORM = """<form method="post"><input type="hidden" name="token" value="{token}">
<label>Your API token<input type="password" name="key" autocomplete="off" required></label>
<button>Let this player scrobble for me</button></form>"""
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    # Not no-referrer: browsers then send the form with the origin "null".
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


async def issue_token(services: Services, origin: str) -> str:
    """Return a new token that waits for consent, asked for from an address."""
    token = secrets.token_hex(16)
    try:
        await services.redis.set(_key(services, token), _WAITING + origin.encode(), ex=LIFE)
    except UNAVAILABLE:
        raise try_again() from None
    return token


async def redeem_token(services: Services, token: str) -> Session:
    """Return a session for a token the listener has agreed to; a token is good once.

    Raises
    ------
    LastfmError
        14: nobody has agreed, the token is unknown or used, or the token that agreed is no longer
        valid. 16: Redis does not answer.
    """
    try:
        agreed: bytes | None = await services.redis.get(_key(services, token))  # type: ignore[assignment]
        if agreed and agreed.startswith(_WAITING):
            agreed = None
        if agreed and not await services.redis.delete(_key(services, token)):
            agreed = None  # another request used it between the two calls
    except UNAVAILABLE:
        raise try_again() from None
    session = None
    with suppress(ValueError):
        maker, user = read_consent(agreed or b"")
        session = await open_session(services, user, maker)
    if session is None:
        raise LastfmError(UNAUTHORIZED_TOKEN, "Unauthorized Token - This token is not authorized")
    return session


@router.get("/api/auth/")
@router.get("/api/auth")
async def ask(services: With, token: str = "") -> Response:
    """Ask the listener for consent, and show the address that asks.

    An attacker could start a login and send its link to a victim.
    """
    form = _FORM.format(token=escape(token, quote=True))
    try:
        waiting: bytes | None = await services.redis.get(_key(services, token))  # type: ignore[assignment]
    except UNAVAILABLE:
        waiting = None
    if waiting is None or not waiting.startswith(_WAITING):
        return _page("This request has expired or was used; start again in your player.", "")
    origin = waiting.removeprefix(_WAITING).decode("ascii", "replace")
    return _page(
        f"A player at the address {origin} wants to send what you play. Continue only if you have "
        "just started this login in your own player.",
        form,
    )


@router.post("/api/auth/")
@router.post("/api/auth")
async def agree(request: Request, services: With) -> Response:
    """Note the consent of whoever knows an API token."""
    origin = request.headers.get("origin")
    sender = urlsplit(origin or "").netloc
    ours = (request.headers.get("host"), urlsplit(services.settings.public_url).netloc)
    if origin is not None and (not sender or sender not in ours):
        raise ApiError(403, "foreign-page", "This form was sent by a page of another server.")
    body = await read_body(request.scope, request.receive, 4096)
    fields = parse_qs(body.decode("latin-1"))
    token, key = (fields.get(name, [""])[0].strip() for name in ("token", "key"))
    identity = await services.accounts.identify(key) if key else None
    if identity is None or not identity.may_scrobble_for(identity.user_id):
        raise ApiError(401, "unauthorized", "That is not a valid API token; go back and try again.")
    try:
        known = await services.redis.set(
            _key(services, token), consent(token_hash(key), identity.user_id), ex=LIFE, xx=True
        )
    except UNAVAILABLE:
        raise ApiError(
            503, "unavailable", "Redis does not answer; try again.", retry_after=2
        ) from None
    if not known:
        raise ApiError(400, "expired", "The player's request has expired; start again there.")
    return _page("Done. Go back to your player.", "")


def _key(services: Services, token: str) -> str:
    return services.keys.lastfm_login(token)


def _page(text: str, form: str) -> Response:
    return HTMLResponse(_PAGE.format(text=escape(text), form=form), headers=_HEADERS)
