"""Pacing: evenly spaced requests, and everybody waits when the source asks for a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Gives out one slot every ``1 / rate`` seconds.

    Even spacing instead of bursts: sources count over windows we do not know, and an even pace
    stays below every one of them.

    Parameters
    ----------
    rate
        Slots a second.
    clock
        Monotonic seconds.
    """

    def __init__(self, rate: float, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._gap = 1.0 / rate
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def slot(self) -> None:
        """Wait for the next slot."""
        while True:
            now = self._clock()
            # Slots are taken in one step without awaiting, so no lock is needed.
            if now >= self._next:
                self._next = now + self._gap
                return
            await self._sleep(self._next - now)

    def pause(self, seconds: float) -> None:
        """Give out no slot for the next `seconds`."""
        self._next = max(self._next, self._clock() + seconds)
