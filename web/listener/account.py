"""My account: settings, tokens, export, erasure."""

from __future__ import annotations

import zoneinfo
from typing import Any

import msgspec
from starlette.responses import Response

from web.api import Refused, part
from web.passing import passed_on
from web.visit import Visit

_THEMES = (("", "Same as the system"), ("light", "Light"), ("dark", "Dark"))


async def page(visit: Visit) -> Response:
    """GET /ui/me."""
    return await shown(visit)


async def shown(
    visit: Visit, status: int = 200, wrong: dict[str, str] | None = None, made: Any = None
) -> Response:
    """Return the page, with what is wrong by field."""
    me, tokens, count, relays = await visit.several(
        visit.get("/v1/me"),
        _tokens(visit),
        visit.optional(f"/1/user/{part(visit.subject)}/listen-count"),
        visit.optional(visit.of_subject("/relays")),
    )
    return visit.page(
        "account.html", "My account", status, me=me, tokens=tokens, made=made, wrong=wrong or {},
        relays=relays,
        plays=count["payload"]["count"] if count else None, themes=_THEMES, typed=visit.form,
        zones=sorted(zoneinfo.available_timezones()), said=visit.query("said"),
    )  # fmt: skip


async def _tokens(visit: Visit) -> list[dict[str, Any]]:
    if visit.for_another:
        found = await visit.get("/v1/tokens", user=visit.subject)
    else:
        found = await visit.get("/v1/me/tokens")
    return list(found["tokens"])


async def set_settings(visit: Visit) -> Response:
    """POST /ui/me/settings: time zone and theme of the visitor."""
    body = {
        "time_zone": visit.form.get("time_zone", "UTC"),
        "theme": visit.form.get("theme", ""),
    }
    try:
        kept = await visit.send("PUT", "/v1/me/settings", body)
    except Refused as error:
        if error.status == 401:
            raise
        return await shown(visit, 400, {error.field or "time_zone": error.message})
    session = msgspec.structs.replace(visit.who, time_zone=kept["time_zone"], theme=kept["theme"])
    await visit.site.sessions.keep(visit.secret, session)
    return visit.go(f"{visit.base}/me", said="Settings saved.")


async def make_token(visit: Visit) -> Response:
    """POST /ui/me/tokens: shown this once."""
    label, days = visit.form.get("label", "").strip(), visit.form.get("days", "").strip()
    if not label:
        return await shown(visit, 400, {"label": "Say what the token is for."})
    if days and not (
        days.isascii() and days.isdigit() and len(days) < 5 and 1 <= int(days) <= 3650
    ):
        return await shown(visit, 400, {"days": "A number of days from 1 to 3650, or nothing."})
    body: dict[str, Any] = {"label": label, "expires_days": int(days) if days else None}
    if visit.for_another:
        body["user"] = visit.subject
    try:
        made = await visit.send("POST", "/v1/me/tokens", body)
    except Refused as error:
        if error.status == 401:
            raise
        return await shown(visit, 400, {"label": error.message})
    return await shown(visit, made=made)


async def revoke(visit: Visit, token: str) -> Response:
    """POST /ui/me/tokens/.../revoke."""
    await visit.send("DELETE", f"/v1/me/tokens/{part(token)}")
    return visit.go(
        f"{visit.base}/me", said=f"Token {token} is revoked: it works nowhere any more."
    )


async def export(visit: Visit) -> Response:
    """GET /ui/me/export: the API's archive, passed on as it comes."""
    path = visit.of_subject("/export")
    return await passed_on(visit, path, "application/zip", "segue-export.zip")


async def erase_form(visit: Visit) -> Response:
    """GET /ui/me/erase: what would be removed from where."""
    return visit.page("erase.html", "Erase everything", wrong={})


async def erase(visit: Visit) -> Response:
    """POST /ui/me/erase: the name must be typed."""
    if visit.form.get("name", "") != visit.subject:
        wrong = {"name": f"Type {visit.subject} exactly; nothing was erased."}
        return visit.page("erase.html", "Erase everything", 400, wrong=wrong)
    asked = await visit.send("DELETE", f"/v1/users/{part(visit.subject)}")
    response = visit.go(f"/ui/erasures/{asked['id']}")
    if not visit.for_another:  # every token of the listener has just ended
        await visit.site.sessions.end(visit.secret)
        response.delete_cookie(visit.site.cookie, path="/", secure=visit.site.secure, httponly=True)
    return response


async def erasure(visit: Visit, request: str) -> Response:
    """GET /ui/erasures/...: how far it is; names nobody, so that nobody need sign in."""
    state = await visit.api.call("GET", f"/v1/erasures/{part(request)}")
    return visit.page("erasure.html", "Erasure", state=state)
