"""A worker asks the broker often while messages come, rarely else, and at once when it is woken."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streams import fetching
from streams.fetching import AWAKE_SECONDS, FetchGate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Fetcher:
    """What aiokafka's consumer holds: one fetch and its answer."""

    def __init__(self) -> None:
        self.fetches = 0
        self.found = False
        self._fetcher = self

    async def _proc_fetch_request(self, *_: object) -> bool:
        self.fetches += 1
        await asyncio.sleep(0)
        return self.found


async def in_time(fetch: asyncio.Task[bool], seconds: float) -> bool:
    await asyncio.wait({fetch}, timeout=seconds)
    return fetch.done()


def test_fetches_pass_at_once_while_messages_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "REST_SECONDS", 3600)
    clock, consumer = Clock(), Fetcher()

    async def main() -> None:
        gate = FetchGate(held=False, clock=clock)
        gate.guard(consumer)
        assert await consumer._proc_fetch_request() is False  # just started
        consumer.found = True
        for _ in range(5):
            clock.now += 0.9 * AWAKE_SECONDS
            assert await consumer._proc_fetch_request() is True
        consumer.found = False
        clock.now += 1.1 * AWAKE_SECONDS
        resting = asyncio.ensure_future(consumer._proc_fetch_request())
        assert not await in_time(resting, 0.1)
        assert consumer.fetches == 6
        threading.Thread(target=gate.wake).start()
        assert await in_time(resting, 30)
        assert consumer.fetches == 7
        assert await consumer._proc_fetch_request() is False  # awake for a while
        clock.now += 1.1 * AWAKE_SECONDS
        taken_away = asyncio.ensure_future(consumer._proc_fetch_request())
        await asyncio.sleep(0)
        taken_away.cancel()
        assert await taken_away is False
        assert consumer.fetches == 8

    asyncio.run(main())


def test_who_wakes_nobody_is_seen_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "REST_SECONDS", 0.01)
    clock, consumer = Clock(), Fetcher()

    async def main() -> None:
        gate = FetchGate(held=False, clock=clock)
        gate.guard(consumer)
        clock.now = 10 * AWAKE_SECONDS
        for _ in range(3):
            await consumer._proc_fetch_request()

    asyncio.run(main())
    assert consumer.fetches == 3


def test_a_broker_that_holds_fetches_needs_no_gate() -> None:
    consumer = Fetcher()
    before = consumer._proc_fetch_request
    FetchGate(held=True).guard(consumer)
    assert consumer._proc_fetch_request == before
