"""Where the topics end, for whoever compares workers with the log; no request waits long for it.

A broker that is busy, or an embedded one with a long log, takes seconds to say where a topic ends.
So the topics are asked side by side, an answer is used again for a while, and a request that
waited long enough is answered without: the end is unknown then, and the next request may have it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from contracts.errors import BrokerUnavailable

#: A topic is asked again when its answer is older than this (seconds).
GOOD_FOR = 2.0
#: An older answer is not used: it would make a worker look nearer to the end than it is (seconds).
OLDEST = 10.0
#: Answers that are kept for :meth:`Ends.seconds_behind`; at one in 15 s, of four hours.
_MOST = 1_000
#: Longest time a request waits (seconds).
PATIENCE = 1.0


class Ends:
    """The ends of some topics, looked up when a request asks.

    Parameters
    ----------
    topics
        Names of the topics.
    look_up
        Returns the end of each partition of a topic; runs in a thread, raises BrokerUnavailable.
    patience
        Longest time :meth:`known` takes, seconds.
    """

    def __init__(
        self,
        topics: Sequence[str],
        look_up: Callable[[str], list[int]],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._topics = topics
        self._look_up = look_up
        self._patience = patience
        self._found: dict[str, tuple[float, list[int]]] = {}
        self._earlier: dict[str, deque[tuple[float, list[int]]]] = {
            topic: deque(maxlen=_MOST) for topic in topics
        }
        self._asking: dict[str, asyncio.Task[None]] = {}
        # Threads of its own: a slow broker must not take those that others of the process need.
        self._threads = ThreadPoolExecutor(max(1, len(topics)), "ends")

    async def known(self) -> dict[str, list[int]]:
        """Return ``topic -> end of each partition``, without topics that have no recent answer."""
        for topic in self._topics:
            if topic not in self._asking and not self._is_younger(topic, GOOD_FOR):
                self._asking[topic] = asyncio.create_task(self._ask(topic))
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=self._patience)
        return {t: self._found[t][1] for t in self._topics if self._is_younger(t, OLDEST)}

    def seconds_behind(self, topic: str, partition: int, position: int) -> float | None:
        """Return how long messages from ``position`` on have been in a topic, at least.

        That is the age of the first answer whose end is beyond the position; 0.0 if no answer is.
        :meth:`known` collects the answers; the newest :data:`_MOST` are kept. ``None`` before the
        first one.
        """
        answers = self._earlier.get(topic)
        if not answers:
            return None
        now = time.monotonic()
        return next((now - at for at, ends in answers if ends[partition] > position), 0.0)

    async def close(self) -> None:
        """Stop waiting for answers; a thread that still asks ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _is_younger(self, topic: str, seconds: float) -> bool:
        return topic in self._found and time.monotonic() - self._found[topic][0] <= seconds

    async def _ask(self, topic: str) -> None:
        asked, loop = time.monotonic(), asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._look_up, topic)
            self._found[topic] = asked, found
            self._earlier[topic].append((asked, found))
        except BrokerUnavailable:
            self._found.pop(topic, None)
        finally:
            del self._asking[topic]
