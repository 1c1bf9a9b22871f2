"""POST /v1/plays: the 202 is sent once every play, and every refusal, is in Kafka."""

from __future__ import annotations

import time

import msgspec
from starlette.types import Receive, Scope

from api.auth import Identity
from api.errors import ApiError, unavailable
from api.http import Reply, read_body
from api.plays.letters import dead_letters
from api.plays.parse import Parsed, parse_plays
from api.plays.refused import keep_refused, tell_refused
from api.plays.wire import MAX_BODY, PlaysOut
from api.services import Services
from contracts.accounts import ADMIN_ROLE
from contracts.dead_letters import REPLAY_HEADER
from contracts.errors import BrokerUnavailable

ROUTE = "/v1/plays"
NOT_ACKNOWLEDGED = "The play log did not acknowledge the plays"
_ENCODER = msgspec.json.Encoder()


class SubmitPlays:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive) -> Reply:
        """Accept the plays of one request.

        Raises
        ------
        ApiError
            400, 401, 403, 413 for the request; 503 when the broker did not acknowledge: nothing
            is promised then, and sending the same request again is harmless.
        """
        services = self._services
        identity = await services.accounts.require(scope)
        body = b""
        try:
            body = await read_body(scope, receive, MAX_BODY)
            parsed = parse_plays(body, identity, int(time.time() * 1000))
        except ApiError as error:
            if not _is_replay(scope, identity):
                await keep_refused(services, ROUTE, identity.user_id, error, body)
            raise
        records = services.records.of_all(parsed.by_listener)
        # A replayed letter from which nothing was accepted stays as it is: it needs no second one.
        if parsed.refused and (records or not _is_replay(scope, identity)):
            records += dead_letters(services.topics, ROUTE, identity.user_id, parsed.refused)
        try:
            await services.log.append(records)
        except BrokerUnavailable:
            raise unavailable(NOT_ACKNOWLEDGED) from None
        accepted = len(parsed.results) - len(parsed.refused)
        services.metrics.accepted(ROUTE, accepted)
        for reason, _, _ in parsed.refused:
            services.metrics.rejected(ROUTE, reason)
        if parsed.refused:
            why = parsed.refused[0][1]
            await tell_refused(services, identity.user_id, ROUTE, why, len(parsed.refused))
        return Reply(202 if accepted else 400, answer_of(parsed))


def _is_replay(scope: Scope, identity: Identity) -> bool:
    """Whether the request replays a dead letter: it has ``REPLAY_HEADER`` and role admin."""
    sent = REPLAY_HEADER.encode()
    return ADMIN_ROLE in identity.roles and any(name == sent for name, _ in scope["headers"])


def answer_of(parsed: Parsed) -> bytes:
    """Return the body of the answer: the result of each play of the request."""
    refused = len(parsed.refused)
    return _ENCODER.encode(PlaysOut(len(parsed.results) - refused, refused, parsed.results))
