"""GET /v1/users/{user}/export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from api.audit import origin_of
from api.errors import unavailable
from api.export import held
from api.export.archive import zipped
from api.listenbrainz.queries import check_known
from api.privacy import check_own
from api.services import Services
from api.web import Caller, With
from contracts.audit import entry
from contracts.errors import ConfigurationError, IncompatibleState, StoreUnavailable
from contracts.postgres import with_session
from contracts.redis_client import UNAVAILABLE

router = APIRouter(prefix="/v1", tags=["privacy"])
#: Exports at a time in one process; more wait their turn.
_AT_ONCE = asyncio.Semaphore(2)

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
        }
    },
    summary="Everything held of a listener",
)
async def export(request: Request, services: With, caller: Caller, user: str) -> StreamingResponse:
    """Return all data that Segue stores about a listener as one zip archive, streamed.

    For the listener and for administrators. Each export is recorded in the audit trail.
    """
    check_own(caller, user)
    await check_known(services, user)
    await services.audit.record(entry(caller.user_id, "data.export", user, origin_of(request)))
    parts = _stream(services, user)
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
    return StreamingResponse(_after(first, parts), media_type="application/zip", headers=headers)


async def _stream(services: Services, user: str) -> AsyncIterator[bytes]:
    connect = psycopg.AsyncConnection.connect
    settings = services.settings
    dsn = with_session(settings.postgres_dsn, lock_timeout=settings.lock_timeout_ms)
    # A connection only for those whose turn it is: they are few.
    async with _AT_ONCE, await connect(dsn, connect_timeout=3) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        moment = await (await connection.execute("select now()::text")).fetchone()
        tables = await held.tables(connection)
        reader = services.model.reader
        features = await _features(services, user)
        lake = await held.lake_tables(settings)
        members = [
            ("README.txt", _whole(_README.format(moment=moment[0] if moment else "now").encode())),
            ("plays.csv", held.plays_csv(connection, user)),
            *((f"postgres/{table}.jsonl", held.rows(connection, user, table)) for table in tables),
            ("features.json", _whole(features)),
            ("model.json", _whole(held.modelled(reader, user))),
            *((f"lake/{place.name}.jsonl", held.lake(place, user)) for place in lake),
            ("audit.jsonl", held.audited(connection, user)),
        ]
        async for part in zipped(members):
            yield part


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
