"""A time limit for many short waits: one timer for all, where ``asyncio.timeout`` sets one each.

A timer for every request costs a tenth of what taking a play does, and hardly one ever rings.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Patience:
    """Cancels tasks that wait longer than they may; they learn it from :meth:`ran_out`.

    One look every ``seconds / 30`` finds those whose time is over, so a wait may last that much
    longer than it should.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[asyncio.Task[Any], float] = {}  # in the order they began
        self._over: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self) -> asyncio.Task[Any]:
        """Start the clock of the running task and return the task, to be handed to :meth:`end`."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        if loop is not self._loop:  # nobody looks yet, or only on a loop that is gone
            self._deadlines.clear()
            self._loop = loop
            loop.call_later(self._seconds / 30, self._look, loop)
        self._deadlines[task] = loop.time() + self._seconds
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """Stop the clock of a task."""
        self._deadlines.pop(task, None)
        self._over.discard(task)

    def ran_out(self, task: asyncio.Task[Any]) -> bool:
        """Whether this is why the task was cancelled, and nobody else wants it cancelled."""
        return task in self._over and task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        now = loop.time()
        for task, deadline in self._deadlines.items():
            if deadline > now:
                break
            self._over.add(task)
            task.cancel()
        for task in self._over:
            self._deadlines.pop(task, None)
        if self._deadlines:
            loop.call_later(self._seconds / 30, self._look, loop)
        else:
            self._loop = None
