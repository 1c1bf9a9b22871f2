"""Relays of a listener: where else the plays go, how far that is, and the switch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.account.me import stamp
from api.account.store import run
from api.audit import origin_of
from api.errors import ApiError
from api.privacy import check_own
from api.services import Services
from api.web import Caller, With, answers, body_of, json_reply
from contracts import relays
from contracts.audit import entry
from contracts.relays import LONGEST_SECRET, SERVICES, Relay

router = APIRouter(prefix="/v1", tags=["account"])


class RelayOut(msgspec.Struct):
    """A relay and its queue; the secret is never shown.

    ``state`` is ``active``, ``paused`` (by a person) or ``refused``: the service rejects the
    secret; send another one. ``reason`` is the service's last error while the relay cannot send.
    ``account`` is the name there, empty until the service has confirmed it.
    ``waiting`` plays are in the queue; ``refused`` ones the service will never take.
    """

    service: str
    name: str
    state: str
    reason: str
    account: str
    created_at: str | None
    retry_at: str | None
    last_sent_at: str | None
    sent: int
    waiting: int
    refused: int


class RelayService(msgspec.Struct):
    """A service that a relay can send to; ``secret`` names the credential it needs, for people."""

    service: str
    name: str
    secret: str


class Relays(msgspec.Struct):
    """The relays of a listener. ``enabled``: this deployment sends on at all."""

    enabled: bool
    services: list[RelayService]
    relays: list[RelayOut]


class RelayIn(msgspec.Struct, kw_only=True):
    """What to change: the secret, the state, or both.

    ``secret`` is the user token of ListenBrainz or the session key of Last.fm. A new secret makes
    the relay active unless ``state`` is ``paused``.
    """

    secret: Annotated[str, Meta(min_length=1, max_length=LONGEST_SECRET)] | None = None
    state: Literal["active", "paused"] | None = None


@router.get("/users/{user}/relays", responses=answers(Relays), summary="Where plays are sent on to")
async def list_relays(request: Request, services: With, caller: Caller, user: str) -> Response:
    """Return the relays of a listener with their state, and what can be relayed to."""
    check_own(caller, user)
    if caller.user_id != user:
        await services.audit.note_reading(caller.user_id, user, origin_of(request))
    known = [RelayService(service, *about) for service, about in SERVICES.items()]
    return json_reply(Relays(services.settings.relay, known, await _of(services, user)))


@router.put(
    "/users/{user}/relays/{service}",
    responses=answers(RelayOut),
    openapi_extra=body_of(RelayIn),
    summary="Make, change, pause a relay",
)
async def set_relay(
    request: Request, services: With, caller: Caller, user: str, service: str
) -> Response:
    """Forward the listener's plays from now on; replace the secret; pause or resume.

    Plays from before the relay was created, imported plays and skipped ones are not sent.
    """
    check_own(caller, user)
    _check_service(service)
    given = await read_struct(request, RelayIn)
    if given.secret is not None:
        await _set_secret(request, services, caller.user_id, user, service, given.secret)
    elif given.state is None:
        raise ApiError(400, "bad-relay", "Send a secret, a state, or both.")
    if given.state == "paused" or (given.state == "active" and given.secret is None):
        action = "relay.pause" if given.state == "paused" else "relay.resume"
        await _check_there(services, user, service)
        row = entry(caller.user_id, action, user, origin_of(request), service=service)
        values = {"user": user, "service": service, "state": given.state}
        await run(services, relays.SET_STATE, values, row)
    (shown,) = [each for each in await _of(services, user) if each.service == service]
    return json_reply(shown)


@router.delete(
    "/users/{user}/relays/{service}",
    status_code=204,
    response_class=Response,
    summary="Remove a relay",
)
async def remove_relay(
    request: Request, services: With, caller: Caller, user: str, service: str
) -> Response:
    """Forget the secret and the queue; what was sent stays at the service."""
    check_own(caller, user)
    _check_service(service)
    await _check_there(services, user, service)
    row = entry(caller.user_id, "relay.remove", user, origin_of(request), service=service)
    await run(services, relays.REMOVE, {"user": user, "service": service}, row)
    return Response(status_code=204)


async def _set_secret(
    request: Request, services: Services, actor: str, user: str, service: str, secret: str
) -> None:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ApiError(400, "bad-secret", f"That is not a {SERVICES[service][1]}.", field="secret")
    if not services.settings.relay:
        raise ApiError(
            409,
            "relays-off",
            "This deployment forwards no plays: an operator can set SEGUE_RELAY=1.",
        )
    row = entry(actor, "relay.set", user, origin_of(request), service=service)
    await run(services, relays.SET, {"user": user, "service": service, "secret": secret}, row)


def _check_service(service: str) -> None:
    if service not in SERVICES:
        known = ", ".join(SERVICES)
        raise ApiError(404, "unknown-service", f"There is no relay to {service!r}; known: {known}.")


async def _check_there(services: Services, user: str, service: str) -> None:
    if service not in {relay.service for relay in await _of(services, user)}:
        raise ApiError(404, "no-relay", f"There is no relay to {service}; send a secret first.")


async def _of(services: Services, user: str) -> list[RelayOut]:
    rows = await run(services, relays.LIST, {"user": user})
    return [_shown(Relay(**dict(zip(Relay.__struct_fields__, row, strict=True)))) for row in rows]


def _shown(relay: Relay) -> RelayOut:
    return RelayOut(
        service=relay.service,
        name=SERVICES[relay.service][0],
        state=relay.state,
        reason=relay.reason,
        account=relay.account,
        created_at=stamp(relay.created_at),
        retry_at=stamp(relay.retry_at),
        last_sent_at=stamp(relay.last_sent_at),
        sent=relay.sent,
        waiting=relay.waiting,
        refused=relay.refused,
    )
