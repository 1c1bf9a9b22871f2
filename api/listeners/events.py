"""GET /v1/users/{user}/events: what happens to a listener, as it happens (server-sent events)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from api.auth import Identity, token_of
from api.errors import ApiError
from api.listenbrainz.queries import reader_of
from api.listeners.hub import Stream, missed
from api.services import Services
from api.web import SCHEME, With
from contracts.errors import StoreUnavailable
from contracts.listener_events import ListenerEvent

router = APIRouter(prefix="/v1", tags=["listener"], dependencies=[SCHEME])

#: Streams one process holds open at most.
MOST = 5_000
#: Time between two comments, which keep proxies from closing a silent stream (seconds).
KEEP_ALIVE = 20.0
_RETRY_MS = 2_000
_EXAMPLE = """\
retry: 2000
: following ada

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

    A `play` comes once lists reflect it. The `id` names the state of the listener's window: a
    reader that comes back with `Last-Event-ID` gets one `changed` at once if the window is another
    by now. `changed` also replaces events that were missed. `signed-out` is the last event of a
    token that has ended.
    """
    caller = await reader_of(request, services, user)
    if services.events.count >= MOST:
        raise ApiError(503, "too-many-streams", "This server has no more streams.", retry_after=10)
    stream = services.events.open(user)
    last = request.headers.get("last-event-id", "")
    body = _follow(services, stream, caller, token_of(request.scope) or "", last)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


async def _follow(
    services: Services, stream: Stream, caller: Identity, token: str, last: str
) -> AsyncIterator[str]:
    user = stream.user
    try:
        yield f"retry: {_RETRY_MS}\n: following {_line(user)}\n\n"
        if last and last != (state := await _state(services, user)):
            yield _event(missed(user), state)
        while not stream.ended:
            event = await stream.next(KEEP_ALIVE)
            if event is not None:
                yield _event(event, await _state(services, user))
            elif not stream.ended:
                if not await _still_good(services, token, user):
                    yield "event: signed-out\ndata: {}\n\n"
                    return
                yield ": still here\n\n"
    finally:
        services.events.close(stream)


async def _state(services: Services, user: str) -> str:
    """Return what names the listener's window as it is now; empty while Redis is away."""
    try:
        blob = await services.features.get(user)
    except StoreUnavailable:
        return ""
    return f"{zlib.crc32(blob or b''):08x}"


async def _still_good(services: Services, token: str, user: str) -> bool:
    try:
        identity = await services.accounts.identify(token)
    except ApiError:
        return True  # the accounts cannot be read now: asked again at the next pause
    return identity is not None and identity.may_act_for(user)


def _event(event: ListenerEvent, state: str) -> str:
    data = msgspec.json.encode(event).decode()
    return f"id: {state}\nevent: {event.kind}\ndata: {data}\n\n"


def _line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")
