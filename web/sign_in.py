"""Signing in and out: a token or a password is traded for a session of its own."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress

import msgspec
from starlette.responses import Response

from contracts.errors import StoreUnavailable
from web.api import Away, Refused
from web.site import new_session
from web.visit import Visit
from web.words import moment

_WEEKS = 30 * 86_400


async def form(visit: Visit) -> Response:
    """GET /ui/login."""
    return _form(visit, ended=bool(visit.query("ended")))


async def sign_in(visit: Visit) -> Response:
    """POST /ui/login: by token, or by name and password."""
    given = visit.form
    token, user = given.get("token", "").strip(), given.get("user", "").strip()
    password = given.get("password", "")
    if token:
        body = {"token": token}
    elif user and password:
        body = {"user": user, "password": password}
    else:
        missing = "token" if "token" in given else "password" if user else "user"
        text = {
            "token": "Paste a token.",
            "password": "Type the password.",
            "user": "Type the name.",
        }
        return _form(visit, 400, wrong={missing: text[missing]})
    return await _start(visit, body, "token" if token else "password")


async def link(visit: Visit, code: str) -> Response:
    """GET /ui/link/...: asks first, because browsers open links by themselves."""
    token = await visit.site.sessions.linked(code)
    if not token:
        return _form(
            visit,
            404,
            notice="This sign-in link is not known any more. "
            "“segue up” prints new ones at each start.",
        )
    me = await visit.api.call("GET", "/v1/me", token)
    return visit.page("link.html", "Sign in", who=me["user"], roles=me["roles"])


async def follow_link(visit: Visit, code: str) -> Response:
    """POST /ui/link/...: signs in with the token behind the link."""
    token = await visit.site.sessions.linked(code)
    if not token:
        return _form(visit, 404, notice="This sign-in link is not known any more.")
    return await _start(visit, {"token": token}, "token")


async def sign_out(visit: Visit) -> Response:
    """POST /ui/logout: ends the session here and its token at the API."""
    if visit.session is not None:
        await visit.site.sessions.end(visit.secret)
        # Not reached: the token ends by itself, and here nobody can use it any more.
        with suppress(Away, Refused):
            await visit.send("DELETE", "/v1/sessions/current")
    response = visit.go("/ui/login", out="1")
    response.delete_cookie(visit.site.cookie, path="/", secure=visit.site.secure, httponly=True)
    return response


async def _start(visit: Visit, body: dict[str, str], field: str) -> Response:
    site = visit.site
    try:
        made = await visit.api.call("POST", "/v1/sessions", body=body)
        me = await visit.api.call("GET", "/v1/me", made["token"])
    except Refused as error:
        status = error.status if error.status in (401, 429) else 400
        return _form(visit, status, wrong={field: error.message})
    except Away as error:
        return _form(visit, 503, notice=f"Nobody can sign in at the moment: {error.message}")
    if visit.session is not None:  # a new id at each sign-in; the old one ends
        await site.sessions.end(visit.secret)
    try:
        secret = await site.sessions.make(new_session(made, me, secrets.token_hex(16)))
    except StoreUnavailable:
        return _form(visit, 503, notice="Nobody can sign in at the moment: Redis does not answer.")
    response = visit.go(_target(visit))
    remember(visit, response, secret)
    return response


def remember(visit: Visit, response: Response, secret: str) -> None:
    """Have the browser keep the id of a session."""
    site = visit.site
    response.set_cookie(
        site.cookie,
        secret,
        max_age=_WEEKS,
        path="/",
        secure=site.secure,
        httponly=True,
        samesite="lax",
    )


async def prolonged(visit: Visit) -> bool:
    """Ask the API once a day for more time for a session in use; return whether it gave some."""
    session = visit.session
    now = time.time()
    if session is None or not visit.secret or not session.wants_more_time(now):
        return False
    ends = session.expires
    # The page is made already: what goes wrong here is tried again tomorrow.
    with suppress(Away, Refused, StoreUnavailable):
        made = await visit.send("POST", "/v1/sessions/current/prolong")
        ends = moment(made["expires_at"]).timestamp() if made["expires_at"] else ends
    with suppress(StoreUnavailable):
        current = await visit.site.sessions.find(visit.secret)  # the page may have changed it
        if current is None:
            return False  # the page signed out
        kept = msgspec.structs.replace(current, expires=ends, asked=now)
        await visit.site.sessions.keep(visit.secret, kept)
    return ends > session.expires


def _target(visit: Visit) -> str:
    """Return where to go afterwards: only to pages of ours."""
    wanted = visit.form.get("next", "")
    good = wanted.startswith("/ui/") and "\\" not in wanted and wanted.isprintable()
    return wanted if good else "/ui/"


def _form(visit: Visit, status: int = 200, **values: object) -> Response:
    shown = {"wrong": {}, "notice": "", "ended": False, "typed": visit.form} | values
    target = visit.form.get("next") or visit.query("next", "/ui/")
    out = bool(visit.query("out"))
    return visit.page("login.html", "Sign in", status, target=target, out=out, **shown)
