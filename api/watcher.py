"""Looks at the dependencies every other second, so that health is answered from memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from api.background import end
from contracts.errors import SegueError

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
#: Returns ``"ok"`` or what is wrong with one dependency; may raise instead.
Look = Callable[[], Awaitable[str]]


class Watcher:
    """Repeats looks at dependencies and remembers what they found.

    Parameters
    ----------
    looks
        By name of the dependency.

    Attributes
    ----------
    state
        ``name -> "ok"`` or what is wrong.
    reached
        Names of the dependencies that were ``ok`` at least once.
    stopping
        Set at shutdown: the process is no longer ready, regardless of its dependencies.
    """

    def __init__(self, looks: Mapping[str, Look]) -> None:
        self._looks = looks
        self._tasks: list[asyncio.Task[None]] = []
        self.state = dict.fromkeys(looks, "not looked at yet")
        self.reached: set[str] = set()
        self.stopping = False

    def start(self) -> None:
        """Begin to look."""
        self._tasks = [asyncio.ensure_future(self._watch(*item)) for item in self._looks.items()]

    async def stop(self) -> None:
        """Stop looking."""
        await end(self._tasks)

    async def _watch(self, name: str, look: Look) -> None:
        while True:
            try:
                found = await look()
            except (TimeoutError, OSError, SegueError) as error:
                found = str(error) or type(error).__name__
            except Exception as error:
                found = type(error).__name__  # drivers put addresses into their messages
            if found == "ok":
                self.reached.add(name)
            if found != self.state[name]:
                log.info("%s: %s", name, found)
                self.state[name] = found
            await asyncio.sleep(EVERY_SECONDS)
