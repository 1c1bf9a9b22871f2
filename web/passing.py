"""Passes a file of the API on to the browser as it comes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import httpx
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from web.visit import Visit


async def passed_on(visit: Visit, path: str, kind: str, name: str) -> Response:
    """Return an answer of the API as a download; raises Away and Refused before it begins."""
    opened = visit.api.stream(path, visit.who.token)
    answer = await opened.__aenter__()
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return _Download(opened, answer, kind, headers)


class _Download(StreamingResponse):
    """Ends the API's answer with its own, also if the browser leaves before the first byte.

    The API lets a listener have one export at a time: the garbage collector might come too late.
    """

    def __init__(
        self,
        opened: AbstractAsyncContextManager[httpx.Response],
        answer: httpx.Response,
        kind: str,
        headers: dict[str, str],
    ) -> None:
        super().__init__(answer.aiter_bytes(), media_type=kind, headers=headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._opened.__aexit__(None, None, None)
