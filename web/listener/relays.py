"""Relays of an account: a secret, a pause, an end."""

from __future__ import annotations

from starlette.responses import Response

from web.api import Away, Refused, part
from web.listener import account
from web.visit import Visit


async def change(visit: Visit, service: str) -> Response:
    """POST /ui/me/relays/...: keep a secret, pause, resume, or remove."""
    form, field = visit.form, f"relay-{service}"
    path = visit.of_subject(f"/relays/{part(service)}")
    action, secret = form.get("action", ""), form.get("secret", "").strip()
    if action == "keep" and not secret:
        return await account.shown(visit, 400, {field: "Paste the secret of the service."})
    try:
        if action == "remove":
            await visit.send("DELETE", path)
        elif action == "keep":
            await visit.send("PUT", path, {"secret": secret})
        else:
            await visit.send("PUT", path, {"state": "paused" if action == "pause" else "active"})
    except Refused as error:
        if error.status == 401:
            raise
        return await account.shown(visit, error.status, {field: error.message})
    except Away as error:
        return await account.shown(visit, 503, {field: f"Nothing was changed: {error.message}"})
    said = {
        "remove": "The relay is removed, its secret and its queue with it.",
        "keep": "Saved: new plays are forwarded.",
        "pause": "Paused: plays wait.",
    }.get(action, "The relay resumes.")
    return visit.go(f"{visit.base}/me", said=said)
