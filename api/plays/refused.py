"""Requests that were refused whole: counted, and kept for the operator."""

from __future__ import annotations

import logging
import time

from api.errors import ApiError
from api.listeners.hub import publish
from api.plays.letters import dead_letters
from api.services import Services
from contracts.errors import BrokerUnavailable
from contracts.listener_events import REFUSED, ListenerEvent

log = logging.getLogger(__name__)
#: Stage of their dead letters: nothing in them can be sent again but by who made them.
STAGE = "api-body"
#: Statuses whose request bodies are not kept: the caller may not make the request.
_NOT_KEPT = (401, 403, 503)


async def keep_refused(
    services: Services, route: str, user: str, error: ApiError, body: bytes
) -> None:
    """Count a request that breaks the protocol and keep it as a dead letter.

    The caller gets the error in either case. While the broker is down the request is only counted.

    Parameters
    ----------
    body
        What was read of it; empty where it was too large or too slow to be read.
    """
    services.metrics.rejected(route, error.code)
    if error.status in _NOT_KEPT:
        return
    letter = (error.code, error.message, body)
    try:
        await services.log.append(dead_letters(services.topics, route, user, [letter], STAGE))
    except BrokerUnavailable:
        log.warning(
            "Kafka did not store the dead letter of a refused request to %s (%s)", route, error.code
        )
    await tell_refused(services, user, route, error.message)


async def tell_refused(services: Services, user: str, route: str, why: str, count: int = 1) -> None:
    """Publish that plays were refused, for the person who is just connecting a player."""
    event = ListenerEvent(
        user=user, kind=REFUSED, at=int(time.time() * 1000), source=route, count=count, detail=why
    )
    await publish(services.redis, services.keys.events, event)
