"""GET /v1/users/{user}/events: what happens to a listener, as it happens (server-sent events)."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from api.auth import token_of
from api.errors import ApiError
from api.listenbrainz.queries import reader_of
from api.listeners.hub import CHANGED, FOLLOWING
from api.services import Services
from api.web import SCHEME, With
from contracts.errors import StoreUnavailable
from contracts.features import window_id
from contracts.listener_events import ListenerEvent

router = APIRouter(prefix="/v1", tags=["listener"], dependencies=[SCHEME])

#: Streams one process holds open at most.
MOST = 5_000
#: Time between two checks of the token (seconds), and between two comments, which keep proxies from
#: closing a silent stream. It is random: streams opened together are not checked together.
KEEP_ALIVE = (15.0, 20.0)
_RETRY_MS = 2_000
_EXAMPLE = """\
retry: 2000

id: 00000000
event: following
data: {"user":"ada","kind":"following","at":0}

id: 5f2a91c0
event: play
data: {"user":"ada","kind":"play","at":1764150000000,"artist":"Air","title":"Sexy Boy"}

"""


@router.get(
    "/users/{user}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A stream that does not end.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    },
    summary="What happens to a listener, live",
)
async def events(request: Request, services: With, user: str) -> StreamingResponse:
    """Stream the listener's events: `play`, `feedback`, `playing-now`, `refused`, `changed`.

    The first event is `following`: no later event is missed. A `play` comes once lists reflect it.
    The `id` of an event names the state of the listener's latest plays, like `window` of a list. A
    list with another `window` than the `id` of `following` is outdated. `changed` means that events
    may have been missed: after a reconnect with an outdated `Last-Event-ID`, after a connection of
    the server was lost, or if the reader is slow. `signed-out` is the last event of a token that
    has ended.
    """
    await reader_of(request, services, user)
    if services.events.count >= MOST:
        raise ApiError(
            503, "too-many-streams", "All streams of this server are in use.", retry_after=10
        )
    last = request.headers.get("last-event-id", "")
    body = _follow(services, user, token_of(request.scope) or "", last)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


async def _follow(services: Services, user: str, token: str, last: str) -> AsyncIterator[str]:
    # Opened here: a body that is never begun, because its client has gone, is never ended either.
    stream = services.events.open(user)
    try:
        yield f"retry: {_RETRY_MS}\n\n"
        due = _next_check()
        while not stream.ended:
            event = await stream.next(max(0.0, due - time.monotonic()))
            # By elapsed time, because events may come without a pause.
            if event is None or time.monotonic() >= due:
                if not await _still_good(services, token, user):
                    yield "event: signed-out\ndata: {}\n\n"
                    return
                due = _next_check()
            if event is not None:
                state = await _state(services, user)
                yield _event(event, state)
                if event.kind == FOLLOWING and last not in ("", state):
                    yield _event(ListenerEvent(user=user, kind=CHANGED, at=0), state)
                last = state or last
            elif not stream.ended:
                yield ": still here\n\n"
    finally:
        services.events.close(stream)


def _next_check() -> float:
    """Return when to check the token again, on the monotonic clock."""
    return time.monotonic() + random.uniform(*KEEP_ALIVE)  # noqa: S311


async def _state(services: Services, user: str) -> str:
    """Return what names the listener's window as it is now; empty while Redis is away."""
    try:
        blob = await services.features.get(user)
    except StoreUnavailable:
        return ""
    return window_id(blob)


async def _still_good(services: Services, token: str, user: str) -> bool:
    try:
        identity = await services.accounts.identify(token)
    except ApiError:
        return True  # the accounts cannot be read now: asked again at the next pause
    return identity is not None and identity.may_act_for(user)


def _event(event: ListenerEvent, state: str) -> str:
    data = msgspec.json.encode(event).decode()
    return f"id: {state}\nevent: {event.kind}\ndata: {data}\n\n"
