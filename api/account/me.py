"""GET /v1/me: whose token this is; PUT /v1/me/settings: how pages show things to that person."""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.account.store import ID, run
from api.auth import token_of
from api.errors import ApiError, unauthorized
from api.web import Caller, With, answers, body_of, json_reply
from contracts.accounts import SET_SETTINGS, token_hash

router = APIRouter(prefix="/v1", tags=["account"])

_ME = """
    select t.user_id, t.roles, t.label, t.expires_at, a.time_zone, a.theme
    from tokens_v1 t join account_settings_v1 a using (user_id) where t.token_hash = %(hash)s
"""


class Me(msgspec.Struct):
    """The account behind the token of this request, and what the token may do.

    ``time_zone`` is an IANA name; ``theme`` is ``light``, ``dark`` or empty (as the browser likes).
    """

    user: str
    roles: list[str]
    token_id: str
    label: str
    expires_at: str | None
    time_zone: str
    theme: str


class AccountSettings(msgspec.Struct, kw_only=True):
    """What is left out stays as it is."""

    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    theme: Literal["", "light", "dark"] | None = None


@router.get("/me", responses=answers(Me), summary="Whose token is this?")
async def me(request: Request, services: With, caller: Caller) -> Response:
    """Return the account, its roles through this token, and its settings."""
    digest = token_hash(token_of(request.scope) or "")
    rows = await run(services, _ME, {"hash": digest})
    if not rows:
        raise unauthorized()
    user, roles, label, expires, zone, theme = rows[0]
    return json_reply(
        Me(user, sorted(roles), digest.hex()[:ID], label, stamp(expires), zone, theme)
    )


@router.put(
    "/me/settings",
    responses=answers(AccountSettings),
    openapi_extra=body_of(AccountSettings),
    summary="Time zone and theme",
)
async def set_settings(request: Request, services: With, caller: Caller) -> Response:
    """Change the settings of the token's account."""
    caller.check_owns_account()
    given = await read_struct(request, AccountSettings)
    if given.time_zone is not None and given.time_zone not in zoneinfo.available_timezones():
        raise ApiError(
            400,
            "bad-time-zone",
            f"{given.time_zone!r} is not a time zone; an example is Europe/Berlin.",
            field="time_zone",
        )
    rows = await run(
        services,
        SET_SETTINGS,
        {"user": caller.user_id, "time_zone": given.time_zone, "theme": given.theme},
    )
    return json_reply(AccountSettings(time_zone=rows[0][0], theme=rows[0][1]))


def stamp(moment: datetime | None) -> str | None:
    """Return a moment as ISO 8601 text with whole seconds; ``None`` stays ``None``."""
    return None if moment is None else moment.isoformat(timespec="seconds")
