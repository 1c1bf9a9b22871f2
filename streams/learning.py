"""Runs the learning of a batch in the event loop, or in threads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from online_model import LearningThreads, Recommender

T = TypeVar("T")

#: Fewer plays are learned in the event loop even so: a thread that ends can wait 5 ms for the
#: interpreter, longer than these plays take.
WORTH_A_THREAD = 64


class Learning:
    """Learns one batch at a time; the caller sees to it that nothing else writes the model.

    Parameters
    ----------
    threads
        Threads that learn while the event loop continues; 0: the event loop learns.
    """

    def __init__(self, model: Recommender, threads: int) -> None:
        self._model = model
        self._threads = LearningThreads(model, threads) if threads else None
        self._pool = ThreadPoolExecutor(1, "learning")

    async def run(
        self,
        plays: int,
        learn: Callable[[Recommender | LearningThreads], T],
        note: Callable[[T], None],
    ) -> None:
        """Learn, then note the result.

        A cancelled call too ends only after both: some 50 ms for the largest batch.

        Parameters
        ----------
        plays
            Plays in the batch.
        learn
            Called with what learns plays, in a thread if there are threads and enough plays.
        note
            Called in the event loop with what ``learn`` returned.
        """
        if self._threads is None or plays < WORTH_A_THREAD:
            note(learn(self._model))
            return
        work = self._pool.submit(learn, self._threads)
        try:
            await asyncio.shield(asyncio.wrap_future(work))
        finally:
            note(work.result())

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
        if self._threads is not None:
            self._threads.close()
