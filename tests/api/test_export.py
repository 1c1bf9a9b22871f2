"""The archive that is written while it is sent, whose turn it is, and how a download ends."""

from __future__ import annotations

import asyncio
import io
import os
import tracemalloc
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psycopg
import pytest
from starlette.types import Message

from api.errors import ApiError
from api.export import endpoint
from api.export.archive import PIECE, zipped
from api.export.turns import Turns
from tests.api.conftest import World

ADA = {"authorization": "Token ada-token"}


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_members_read_back() -> None:
    members = [("a.txt", pieces(b"one", b" two")), ("empty", pieces()), ("ü/b", pieces(b"\x00"))]
    whole = b"".join([part async for part in zipped(members)])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.txt", "empty", "ü/b"]
        assert archive.read("a.txt") == b"one two"


async def test_nothing_is_held_whole() -> None:
    """Sixty megabytes pass through less than four."""
    block = bytes(range(256)) * 256

    async def long() -> AsyncIterator[bytes]:
        for _ in range(960):
            yield block

    tracemalloc.start()
    sent = 0
    async for part in zipped([("long", long())]):
        sent += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 0
    assert peak < 4_000_000


async def test_pieces_are_small_however_large_a_member_comes() -> None:
    """What a client takes of them shows that it reads; a large one would take it minutes."""
    noise = os.urandom(5 * PIECE)
    sizes = [len(part) async for part in zipped([("noise", pieces(noise))])]
    assert sum(sizes) > len(noise)
    assert max(sizes) == PIECE


async def test_a_listener_has_one_export_at_a_time() -> None:
    turns = Turns(at_once=2)
    async with turns.take("ada"):
        with pytest.raises(ApiError, match="sent already") as refused:
            async with turns.take("ada"):
                pass
        assert (refused.value.status, refused.value.retry_after) == (409, 60)
        async with turns.take("bob"):
            pass
    async with turns.take("ada"):
        pass


async def test_who_waits_too_long_for_a_turn_is_told_when_to_ask_again() -> None:
    turns = Turns(at_once=1, seconds=0.01)
    async with AsyncExitStack() as running:
        await running.enter_async_context(turns.take("ada"))
        for _ in range(2):  # whoever was refused may ask again
            with pytest.raises(ApiError, match="as many exports as it may") as refused:
                async with turns.take("bob"):
                    pass
            assert (refused.value.status, refused.value.retry_after) == (503, 30)
    async with turns.take("bob"):
        pass


async def test_who_waits_gets_the_turn_that_ends() -> None:
    turns = Turns(at_once=1, seconds=60)
    ended = asyncio.Event()

    async def export() -> None:
        async with turns.take("bob"):
            assert ended.is_set()

    async with turns.take("ada"):
        waiting = asyncio.ensure_future(export())
        await asyncio.sleep(0)
        ended.set()
    await waiting


@pytest.fixture
def dsns(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses at which exports connected; nothing listens there."""
    seen: list[str] = []

    async def known(*_: object) -> None:
        pass

    async def connect(dsn: str, **_: object) -> Any:
        seen.append(dsn)
        raise psycopg.OperationalError("nobody is there")

    monkeypatch.setattr(endpoint, "check_known", known)
    monkeypatch.setattr(world.services.audit, "record", known)
    monkeypatch.setattr(world.services, "exports", Turns(at_once=1, seconds=0.01))
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    return seen


async def test_a_second_export_and_a_third_are_refused_with_a_reason(
    client: httpx.AsyncClient, world: World, dsns: list[str]
) -> None:
    async def refusal() -> tuple[int, str, str]:
        answer = await client.get("/v1/users/ada/export", headers=ADA)
        return answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]

    async with world.services.exports.take("ada"):
        assert await refusal() == (409, "export-running", "60")
    async with world.services.exports.take("bob"):
        assert await refusal() == (503, "exports-busy", "30")
    assert not dsns, "a connection only for those whose turn it is"


async def test_an_export_has_time_limits_in_postgresql_and_a_failed_one_ends_its_turn(
    client: httpx.AsyncClient, dsns: list[str]
) -> None:
    for _ in range(2):
        answer = await client.get("/v1/users/ada/export", headers=ADA)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert len(dsns) == 2
    assert "statement_timeout=60000" in dsns[0]
    assert "idle_in_transaction_session_timeout=600000" in dsns[0]


async def test_an_archive_whose_client_leaves_ends_what_it_is_made_from() -> None:
    ended = []

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"piece"
        finally:
            ended.append(True)

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        await asyncio.sleep(3600)  # nobody reads

    made = parts()
    archive = endpoint._Archive(await anext(made), made, {})
    await archive({"type": "http", "asgi": {"spec_version": "2.3"}}, gone, send)
    assert ended


async def test_the_transaction_ends_before_the_lake_is_read() -> None:
    class Connection:
        closed = False

        async def close(self) -> None:
            self.closed = True

    connection: Any = Connection()
    last = endpoint._last(connection, pieces(b"one", b"two"))
    assert await anext(last) == b"one"
    assert not connection.closed
    assert [piece async for piece in last] == [b"two"]
    assert connection.closed
