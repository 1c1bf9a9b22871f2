"""Checking passwords costs 50 ms and 64 MB each: few at a time, and few may wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class TooMany(Exception):
    """So many checks wait already that this one was not begun."""


class PasswordChecks:
    """Runs checks on threads of their own, so that neither memory nor other work suffers.

    Parameters
    ----------
    at_once, waiting
        Checks that run, and checks that wait, at most.
    """

    def __init__(self, at_once: int = 2, waiting: int = 8) -> None:
        self._most = at_once + waiting
        self._present = 0
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="passwords")

    async def run(self, check: Callable[[str, str], bool], stored: str, given: str) -> bool:
        """Return what ``check(stored, given)`` does.

        Raises
        ------
        TooMany
            Try again later.
        """
        if self._present >= self._most:
            raise TooMany
        self._present += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, check, stored, given)
        finally:
            self._present -= 1

    def close(self) -> None:
        """Begin no check any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
