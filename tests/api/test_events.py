"""Streams of events: from the event ``following`` on, nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.listeners import events, hub
from api.listeners.hub import EventHub
from contracts.listener_events import ListenerEvent, encode
from tests.api.conftest import World

PLAY = ListenerEvent(user="ada", kind="play", at=1, title="Run")


class Subscription:
    """Redis as a subscriber sees it; the test decides when a subscription is confirmed."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()

    def pubsub(self) -> Subscription:
        return self

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def subscribe(self, channel: str) -> None:
        pass

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            message = await self.messages.get()
            if isinstance(message, Exception):
                raise message
            yield message

    def confirm(self) -> None:
        self.messages.put_nowait({"type": "subscribe", "data": 1})

    def publish(self) -> None:
        self.messages.put_nowait({"type": "message", "data": encode([PLAY])})


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Subscription:
    made = Subscription()
    monkeypatch.setattr(hub, "subscriber", lambda url, **_: made)
    monkeypatch.setattr(hub, "_PAUSE", 0.0)
    return made


async def kinds(stream: hub.Stream, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            if (event := await stream.next(1.0)) is not None:
                found.append(event.kind)
    return found


async def test_a_stream_follows_once_redis_has_confirmed(redis: Subscription) -> None:
    made = EventHub("redis://x", "channel")
    first = made.open("ada")
    assert await first.next(0.05) is None
    redis.confirm()
    redis.publish()
    assert await kinds(first, 2) == ["following", "play"]
    second = made.open("ada")  # the subscription is there already
    assert await kinds(second, 1) == ["following"]
    redis.messages.put_nowait(ConnectionError("reset"))
    third = made.open("bob")
    redis.confirm()
    assert await kinds(first, 1) == ["following"]
    assert await kinds(third, 1) == ["following"]
    for stream in (first, second, third):
        made.close(stream)
    assert made.count == 0


async def test_a_token_is_looked_at_while_events_come_without_a_pause(
    redis: Subscription, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services, "events", EventHub("redis://x", "channel"))
    monkeypatch.setattr(events, "KEEP_ALIVE", (0.05, 0.05))
    answers = [True, True, False]

    async def still_good(*_: object) -> bool:
        return answers.pop(0)

    async def state(*_: object) -> str:
        return "one"

    async def play() -> None:
        while True:
            redis.publish()
            await asyncio.sleep(0.001)

    monkeypatch.setattr(events, "_still_good", still_good)
    monkeypatch.setattr(events, "_state", state)
    redis.confirm()
    playing = asyncio.create_task(play())
    async with asyncio.timeout(10):
        body = events._follow(world.services, "ada", "token", "")
        found = [text async for text in body]
    playing.cancel()
    assert found[-1] == "event: signed-out\ndata: {}\n\n"
    assert any("event: play" in text for text in found)
    assert answers == []


async def test_who_comes_back_hears_whether_something_changed(
    redis: Subscription, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = EventHub("redis://x", "channel")
    monkeypatch.setattr(world.services, "events", made)
    blob = b"one"

    async def get(user: str) -> bytes:
        return blob

    monkeypatch.setattr(world.services.features, "get", get)

    async def read(last: str, count: int) -> list[str]:
        body = events._follow(world.services, "ada", "token", last)
        found: list[str] = []
        async with asyncio.timeout(10):
            async for text in body:
                found += [line for line in text.splitlines() if line.startswith(("id", "event"))]
                if len(found) >= 2 * count:
                    break
        await body.aclose()  # type: ignore[attr-defined]
        return found

    redis.confirm()
    first = await read("", 1)
    assert first[1] == "event: following"
    state = first[0].removeprefix("id: ")
    redis.confirm()
    redis.publish()
    assert (await read(state, 2))[1::2] == ["event: following", "event: play"]
    blob = b"two"
    redis.confirm()
    again = await read(state, 2)
    assert again[1::2] == ["event: following", "event: changed"]
    assert again[0] == again[2] != f"id: {state}"
    assert made.count == 0
