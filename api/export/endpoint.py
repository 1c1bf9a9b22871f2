"""GET /v1/users/{user}/export."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.audit import origin_of
from api.errors import unavailable
from api.export import held
from api.export.archive import zipped
from api.listenbrainz.queries import check_known
from api.privacy import check_own
from api.services import Services
from api.web import Caller, With
from contracts.audit import Entry, entry
from contracts.errors import ConfigurationError, IncompatibleState, StoreUnavailable
from contracts.postgres import with_session
from contracts.redis_client import UNAVAILABLE

router = APIRouter(prefix="/v1", tags=["privacy"])
#: Longest time of one statement, such as a read of the next rows (ms).
_STATEMENT_MS = 60_000
#: Longest time between two statements: the API closes a connection long before whose client does
#: not read (:mod:`api.door`). PostgreSQL ends the transaction if the API could not (ms).
_IDLE_MS = 600_000

_README = """\
Everything Segue holds of you, as of {moment}.

plays.csv, postgres/plays.jsonl   every play that was accepted
postgres/*.jsonl                  the other tables: account, tokens (without what proves them),
                                  feedback, imports, ...; one JSON object a line
features.json                     your latest plays as recommendations are made from them, hidden
                                  tracks, and what plays now
model.json                        the same, as stored in the model
lake/*.jsonl                      your feedback and the lists you were shown, as analysts see them
audit.jsonl                       who read or changed your data, and when; accounts appear
                                  under pseudonyms

Not in here: the log of messages itself (Kafka), which holds the same plays and feedback as they
came in, and lists you were shown for 30 days.
"""


@router.get(
    "/users/{user}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A zip archive.",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
        409: {"description": "An export of this listener is being sent already."},
        503: {"description": "As many exports are sent as may be, or a store does not answer."},
    },
    summary="Everything held of a listener",
)
async def export(request: Request, services: With, caller: Caller, user: str) -> StreamingResponse:
    """Return all data that Segue stores about a listener as one zip archive, streamed.

    For the listener and for administrators. Each export is recorded in the audit trail. One API
    process sends one export of a listener at a time, and two of different listeners: a third
    waits 5 s for one of them to end, then the answer is 503 with `Retry-After`. A download that
    is not read for about a minute is ended; the zip is then incomplete.
    """
    check_own(caller, user)
    await check_known(services, user)
    asked = entry(caller.user_id, "data.export", user, origin_of(request))
    parts = _stream(services, user, asked)
    try:
        first = await anext(parts)  # what is down shows before the answer begins
    except (psycopg.Error, OSError):
        raise unavailable("The history cannot be read") from None
    except (StoreUnavailable, ConfigurationError):
        raise unavailable("The lake cannot be read") from None
    headers = {
        "content-disposition": 'attachment; filename="segue-export.zip"',
        "cache-control": "no-store",
    }
    return _Archive(first, parts, headers)


class _Archive(StreamingResponse):
    """Sends an archive; however that ends, the transaction and the turn end with it.

    The garbage collector would end them too, but nobody knows when.
    """

    def __init__(
        self, first: bytes, parts: AsyncGenerator[bytes, None], headers: dict[str, str]
    ) -> None:
        super().__init__(_after(first, parts), media_type="application/zip", headers=headers)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._parts.aclose()


async def _stream(services: Services, user: str, asked: Entry) -> AsyncGenerator[bytes, None]:
    settings = services.settings
    dsn = with_session(
        settings.postgres_dsn,
        lock_timeout=settings.lock_timeout_ms,
        statement_timeout=_STATEMENT_MS,
        idle_in_transaction_session_timeout=_IDLE_MS,
    )
    async with services.exports.take(user):
        await services.audit.record(asked)
        async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=3) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            async for part in zipped(await _members(services, user, connection)):
                yield part


async def _members(
    services: Services, user: str, connection: held.Connection
) -> list[tuple[str, AsyncIterator[bytes]]]:
    moment = await (await connection.execute("select now()::text")).fetchone()
    tables = await held.tables(connection)
    reader = services.model.reader
    features = await _features(services, user)
    lake = await held.lake_tables(services.settings)
    return [
        ("README.txt", _whole(_README.format(moment=moment[0] if moment else "now").encode())),
        ("plays.csv", held.plays_csv(connection, user)),
        *((f"postgres/{table}.jsonl", held.rows(connection, user, table)) for table in tables),
        ("features.json", _whole(features)),
        ("model.json", _whole(held.modelled(reader, user))),
        ("audit.jsonl", _last(connection, held.audited(connection, user))),
        *((f"lake/{place.name}.jsonl", held.lake(place, user)) for place in lake),
    ]


async def _last(connection: held.Connection, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what PostgreSQL is read for last, and end the transaction: the lake takes its time."""
    async for piece in pieces:
        yield piece
    await connection.close()


async def _features(services: Services, user: str) -> bytes:
    keys = services.keys
    try:
        found: list[Any] = await services.redis.mget([keys.listener(user), keys.playing_now(user)])
    except UNAVAILABLE:
        return b'{"missing": "the feature store did not answer; ask again"}\n'
    try:
        return held.window(found[0], found[1], services.model.reader)
    except IncompatibleState as error:
        return msgspec.json.encode({"missing": f"it cannot be read: {error}"}) + b"\n"


async def _whole(text: bytes) -> AsyncIterator[bytes]:
    yield text


async def _after(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part
