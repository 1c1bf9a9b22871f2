"""Workers are woken after an acknowledged post: at once, but not for each of many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisGone

from api import waking
from api.waking import Waker


class Channel:
    def __init__(self, *, gone: bool = False) -> None:
        self.published: list[str] = []
        self.gone = gone

    async def publish(self, channel: str, _: bytes) -> None:
        if self.gone:
            raise RedisGone
        self.published.append(channel)


def test_many_posts_wake_once_and_a_later_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "EVERY_SECONDS", 3600)
    redis: Any = Channel()

    async def main() -> None:
        waker = Waker(redis, "posted")
        waker._last = -1e9
        for _ in range(100):
            waker.wake()
        await asyncio.sleep(0)
        assert redis.published == ["posted"]
        monkeypatch.setattr(waking, "EVERY_SECONDS", 0)
        waker.wake()
        await asyncio.sleep(0)
        assert redis.published == ["posted", "posted"]

    asyncio.run(main())


def test_a_redis_that_is_away_stops_nobody() -> None:
    async def main() -> None:
        waker = Waker(Channel(gone=True), "posted")  # type: ignore[arg-type]
        waker.wake()
        await asyncio.gather(*waker._tasks)
        assert not waker._tasks

    asyncio.run(main())
