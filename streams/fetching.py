"""How often a worker asks the broker for messages: at once when there may be some, else rarely.

Apache Kafka holds a fetch until a message arrives, so a worker lets it hold fetches long. Tansu
answers when half of the waiting time or all of it has passed, even if messages arrive. To see a
play within 25 ms there, a worker has to ask again every 20 ms, and each time costs both sides some
0.4 ms of processor time: two idle workers cost a tenth of a core. So the worker asks that often
only while messages come. Else it rests, and the API wakes it when it has posted something.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer

from contracts.redis_client import UNAVAILABLE, subscriber

log = logging.getLogger(__name__)

#: Longest time a broker may hold a fetch that finds nothing, milliseconds: the first for a broker
#: that answers when a message arrives, the second for one that does not.
HELD_MS = 1000
ASKED_MS = 20
#: A worker keeps asking for so long (seconds) after a message or a call ...
AWAKE_SECONDS = 2.0
#: ... and then asks once in this many seconds: a producer other than the API does not wake it.
REST_SECONDS = 0.5
_PAUSE = 1.0


class FetchGate:
    """Lets fetches pass at once while messages come, and one every :data:`REST_SECONDS` else.

    It belongs to the event loop on which it is used first, but :meth:`wake` may be called from any
    thread.

    Parameters
    ----------
    held
        The broker holds fetches until messages arrive: they need no gate.
    clock
        Monotonic seconds.
    """

    def __init__(self, *, held: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.held = held
        self._clock = clock
        self._awake_until = clock() + AWAKE_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._called = asyncio.Event()

    @property
    def wait_ms(self) -> int:
        """Longest time the broker may hold a fetch that finds nothing."""
        return HELD_MS if self.held else ASKED_MS

    def wake(self) -> None:
        """Let fetches pass: something was posted."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._awake_until = self._clock() + AWAKE_SECONDS
        self._called.set()

    def guard(self, consumer: AIOKafkaConsumer) -> None:
        """Put the gate before every fetch of a consumer that was started on the running loop."""
        if self.held:
            return
        self._loop = asyncio.get_running_loop()
        fetch = consumer._fetcher._proc_fetch_request

        async def guarded(*request: Any) -> bool:
            return await self.passed(lambda: fetch(*request))

        consumer._fetcher._proc_fetch_request = guarded

    async def passed(self, fetch: Callable[[], Awaitable[bool]]) -> bool:
        """Wait until a fetch may pass and return whether it found messages."""
        try:
            if self._clock() >= self._awake_until:
                self._called.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REST_SECONDS):
                        await self._called.wait()
        except asyncio.CancelledError:
            return False  # as the fetch itself answers when its partitions are taken away
        found = await fetch()
        if found:
            self._wake()
        return found


async def listen(url: str, channel: str, wake: Callable[[], None]) -> None:
    """Call `wake` for each message of a Redis channel, forever; without Redis, do not call it."""
    while True:
        client = subscriber(url, socket_connect_timeout=1.0)
        try:
            async with client.pubsub() as subscription:
                await subscription.subscribe(channel)
                async for message in subscription.listen():
                    if message["type"] == "message":
                        wake()
        except UNAVAILABLE as error:
            log.debug("no wake-up calls from Redis (polling continues): %s", error)
        finally:
            await client.aclose()
        await asyncio.sleep(_PAUSE)
