"""Passes a file of the API on to the browser as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from web.visit import Visit


async def passed_on(visit: Visit, path: str, kind: str, name: str) -> Response:
    """Return an answer of the API as a download; raises Away and Refused before it begins."""
    opened = visit.api.stream(path, visit.who.token)
    answer = await opened.__aenter__()

    async def body() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_bytes():
                yield piece
        finally:
            await opened.__aexit__(None, None, None)

    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(body(), media_type=kind, headers=headers)
