"""Bounds how many exports run: a few listeners at a time, and one for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.errors import ApiError


class Turns:
    """Bounds the exports of one process: each holds a transaction for as long as its client reads.

    Parameters
    ----------
    at_once
        Exports that are sent at the same time.
    seconds
        Longest wait for one of them to end.
    """

    def __init__(self, at_once: int = 2, seconds: float = 5.0) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._seconds = seconds
        self._listeners: set[str] = set()

    @asynccontextmanager
    async def take(self, user: str) -> AsyncIterator[None]:
        """Count one export of a listener while the block runs.

        Raises
        ------
        ApiError
            409: an export of the listener runs. 503: the permitted number run, and none ended.
        """
        if user in self._listeners:
            raise ApiError(
                409,
                "export-running",
                f"An export of {user!r} is being sent already. Let it end, or stop that download, "
                "and ask again.",
                retry_after=60,
            )
        self._listeners.add(user)
        try:
            await self._wait()
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._listeners.discard(user)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise ApiError(
                503,
                "exports-busy",
                "This server is sending as many exports as it may; ask again in half a minute.",
                retry_after=30,
            ) from None
