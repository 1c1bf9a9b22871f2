"""Raw ASGI: read a body within a limit, send one answer.

The hot endpoints are plain functions ``(scope, receive) -> Reply``. They run before FastAPI's
router, which costs more than their own work; :mod:`api.hot` puts them into the OpenAPI document.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from api.errors import ApiError, ClientGone
from api.patience import Patience

#: How long a body may take to arrive.
BODY_SECONDS = 30
_PATIENCE = Patience(BODY_SECONDS)
Headers = list[tuple[bytes, bytes]]
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")


class Reply(NamedTuple):
    """One whole answer; ``headers`` come besides content type and length."""

    status: int
    body: bytes
    headers: Headers = []


Handler = Callable[[Scope, Receive], Awaitable[Reply]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of a request header (``name`` in lower case)."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the request body, without the byte order mark that some clients write before it.

    Raises
    ------
    ApiError
        413 when it is larger than ``limit`` bytes; no more than that is ever held. 408 when it
        does not arrive in time, 415 when it is compressed.
    ClientGone
        The caller hung up.
    """
    task = _PATIENCE.begin()
    try:
        return (await _read_body(scope, receive, limit)).removeprefix(codecs.BOM_UTF8)
    except asyncio.CancelledError:
        if not _PATIENCE.ran_out(task):
            raise
        raise ApiError(
            408, "too-slow", f"The body did not arrive within {BODY_SECONDS} seconds."
        ) from None
    finally:
        _PATIENCE.end(task)


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    encoding = header(scope, b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        # Not unpacked: a few bytes could become gigabytes.
        raise ApiError(415, "compressed", "Send the body as it is, without Content-Encoding.")
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "too-large", f"The body may not exceed {limit} bytes; send it in parts.")


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a whole JSON answer."""
    length = (b"content-length", str(len(reply.body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [JSON, length, *reply.headers],
        }
    )
    await send({"type": "http.response.body", "body": reply.body})
