"""Reading the catalogue from PostgreSQL, and answering so that clients can keep the answer."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psycopg
from fastapi import Request, Response
from psycopg.errors import QueryCanceled
from psycopg_pool import PoolTimeout

from api.errors import ApiError, unavailable
from api.services import Services
from api.web import answers

#: Milliseconds one question may take: a search for everything must not hold a connection.
_PATIENCE = "1500"
#: Seconds a client may keep a page without asking again; facts change when a collection ends.
_KEEP = 60


Rows = list[tuple[Any, ...]]
#: Runs one query with its named arguments.
Ask = Callable[[str, Mapping[str, Any]], Awaitable[Rows]]


@asynccontextmanager
async def asking(services: Services) -> AsyncIterator[Ask]:
    """Let several questions be asked in one transaction.

    Raises
    ------
    ApiError
        400: one matches too much to be answered. 503: PostgreSQL does not answer.
    """
    try:
        async with services.pool.connection(timeout=1.0) as connection, connection.transaction():
            await connection.execute(f"set local statement_timeout = {_PATIENCE}".encode())

            async def ask_one(query: str, arguments: Mapping[str, Any]) -> Rows:
                return await (await connection.execute(query.encode(), arguments)).fetchall()

            yield ask_one
    except QueryCanceled:
        raise ApiError(400, "too-broad", "The query matches too much: be more precise.") from None
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("The catalogue cannot be read") from None


async def ask_all(
    services: Services, queries: Sequence[str], arguments: Mapping[str, Any]
) -> list[Rows]:
    """Run questions in one transaction and return the rows of each; raises as :func:`asking`."""
    async with asking(services) as ask_one:
        return [await ask_one(query, arguments) for query in queries]


async def ask(services: Services, query: str, arguments: Mapping[str, Any]) -> Rows:
    """Run one question and return its rows; raises as :func:`asking`."""
    return (await ask_all(services, [query], arguments))[0]


def kept(request: Request, value: object) -> Response:
    """Return a JSON answer with a validator, or 304 to a client that holds this very answer."""
    body = msgspec.json.encode(value)
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": f"private, max-age={_KEEP}", "vary": "authorization"}
    held = request.headers.get("if-none-match", "")
    if held == "*" or tag in (part.strip().removeprefix("W/") for part in held.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def shown(struct: type[Any], example: dict[str, Any]) -> dict[int | str, Any]:
    """Return the ``responses`` of a route that answers with a kept struct, with an example."""
    found = answers(struct)
    found[200]["content"]["application/json"]["example"] = example
    found[200]["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "Validator."}}
    found[304] = {"description": "What `If-None-Match` names still holds."}
    return found
