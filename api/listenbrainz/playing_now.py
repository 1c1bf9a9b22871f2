"""What a listener hears right now: kept in Redis for as long as the track lasts."""

from __future__ import annotations

import math
import time
from typing import Any

import msgspec

from api.listenbrainz.mapping import duration_seconds
from api.listeners.hub import publish
from api.services import Services
from contracts.errors import StoreUnavailable
from contracts.listener_events import PLAYING_NOW, ListenerEvent
from contracts.redis_client import UNAVAILABLE

#: Life of an entry whose track has no known length (seconds), and its bounds.
DEFAULT_SECONDS = 600
LONGEST_SECONDS = 86_400


async def set_playing_now(services: Services, user: str, metadata: dict[str, Any]) -> None:
    """Remember the track; the one that is known already keeps its time to live.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    current = await get_playing_now(services, user)
    if current is not None and all(
        current.get(name) == metadata[name] for name in ("artist_name", "track_name")
    ):
        return
    seconds = duration_seconds(metadata) or DEFAULT_SECONDS
    try:
        await services.redis.set(
            services.keys.playing_now(user),
            msgspec.json.encode(metadata),
            ex=min(LONGEST_SECONDS, max(1, math.ceil(seconds))),
        )
    except UNAVAILABLE as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}") from None
    event = ListenerEvent(
        user=user,
        kind=PLAYING_NOW,
        at=int(time.time() * 1000),
        artist=str(metadata["artist_name"]),
        title=str(metadata["track_name"]),
    )
    await publish(services.redis, services.keys.events, event)


async def get_playing_now(services: Services, user: str) -> dict[str, Any] | None:
    """Return the metadata of the current track, ``None`` when there is none.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    try:
        value = await services.redis.get(services.keys.playing_now(user))
    except UNAVAILABLE as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}") from None
    if value is None:
        return None
    metadata: dict[str, Any] = msgspec.json.decode(value)
    return metadata
