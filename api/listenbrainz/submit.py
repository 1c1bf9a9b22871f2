"""POST /1/submit-listens."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope

from api.auth import Identity
from api.errors import ApiError
from api.http import Reply, read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.limits import MAX_BODY
from api.listenbrainz.mapping import play_of, recording_msid
from api.listenbrainz.playing_now import set_playing_now
from api.listenbrainz.validate import listen_too_large, too_large, validate
from api.plays.refused import keep_refused
from api.producer import MAX_MESSAGE_BYTES, LogRecord
from api.services import Services
from contracts.errors import BrokerUnavailable, StoreUnavailable

ROUTE = "/1/submit-listens"
_OK = b'{"status":"ok"}'


class SubmitListens:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive) -> Reply:
        """Accept listens: all of a request, or none.

        The Content-Type is ignored; the reference client sends none.

        Raises
        ------
        ApiError
            400 and 401 with the protocol's messages, 503 when nothing can be promised.
        """
        services = self._services
        identity = await authorize(services.accounts, scope)
        if not identity.may_scrobble_for(identity.user_id):
            raise ApiError(401, "unauthorized", "This token may not submit listens.")
        body, now = b"", time.time()
        try:
            body = await self._body(scope, receive)
            submitted = validate(body, now)
            current = submitted.listen_type == "playing_now"
            records = [] if current else self._records(identity.user_id, submitted.listens, now)
        except ApiError as error:
            await keep_refused(services, ROUTE, identity.user_id, error, body)
            raise
        if current:
            return await self._playing_now(scope, identity, submitted.listens[0])
        try:
            await services.log.append(records)
        except BrokerUnavailable:
            raise ApiError(
                503,
                "unavailable",
                "Cannot submit listens to queue, please try again later.",
                retry_after=2,
            ) from None
        services.metrics.accepted(ROUTE, len(submitted.listens))
        return Reply(200, _OK)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        try:
            return await read_body(scope, receive, MAX_BODY)
        except ApiError as error:
            raise (too_large() if error.status == 413 else error) from None

    def _records(self, user: str, listens: list[dict[str, Any]], now: float) -> list[LogRecord]:
        plays = [play_of(listen, user, int(now * 1000)) for listen in listens]
        records = self._services.records.of(user, plays)
        # The protocol bounds a listen on average: one of many may still be more than the log takes.
        if any(len(record.value) > MAX_MESSAGE_BYTES for record in records):
            raise listen_too_large()
        return records

    async def _playing_now(self, scope: Scope, identity: Identity, listen: dict[str, Any]) -> Reply:
        metadata = listen["track_metadata"]
        try:
            await set_playing_now(self._services, identity.user_id, metadata)
        except StoreUnavailable:
            raise ApiError(
                503, "unavailable", "Cannot record playing_now at this time.", retry_after=2
            ) from None
        wanted = parse_qs(scope["query_string"].decode("latin-1")).get("return_msid", [""])[-1]
        if wanted.lower() != "true":
            return Reply(200, _OK)
        msid = recording_msid(metadata["artist_name"], metadata["track_name"])
        return Reply(200, msgspec.json.encode({"status": "ok", "recording_msid": msid}))
