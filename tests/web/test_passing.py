"""A file of the API that is passed on to the browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
from starlette.types import Message

from tests.web.doubles import World
from web.passing import passed_on


class File(httpx.AsyncByteStream):
    """An answer of the API."""

    closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async def aclose(self) -> None:
        self.closed = True


async def test_a_download_is_the_file_of_the_api() -> None:
    world = World()
    await world.sign_in()
    file = File()
    world.fake.on("GET /v1/users/ada/export", httpx.Response(200, stream=file))
    answer = await world.client.get("/ui/me/export")
    assert answer.content == b"one two"
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="segue-export.zip"'
    assert file.closed


async def test_a_browser_that_leaves_before_the_first_byte_ends_the_answer_of_the_api() -> None:
    world = World()
    file = File()
    world.fake.on("GET /v1/users/ada/export", httpx.Response(200, stream=file))
    visit: Any = SimpleNamespace(api=world.site.api, who=SimpleNamespace(token="t"))
    download = await passed_on(visit, "/v1/users/ada/export", "application/zip", "x.zip")

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        await asyncio.sleep(3600)  # nobody reads

    await download({"type": "http", "asgi": {"spec_version": "2.3"}}, gone, send)
    assert file.closed
