"""Where a batch is learned, and what a cancelled call leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from online_model import LearningThreads, Recommender
from streams.learning import WORTH_A_THREAD, Learning
from tests.online_model.plays import SMALL

MANY = WORTH_A_THREAD


class Work:
    """A batch that is learned until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.noted: list[str] = []

    def learn(self, learner: Recommender | LearningThreads) -> str:
        self.begun.set()
        assert self.go_on.wait(20)
        return type(learner).__name__

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20)


@pytest.mark.parametrize(
    ("threads", "plays", "by"),
    [(0, MANY, "Recommender"), (2, MANY - 1, "Recommender"), (1, MANY, "LearningThreads")],
)
def test_threads_learn_if_there_are_any_and_plays_enough(threads: int, plays: int, by: str) -> None:
    work = Work()
    work.go_on.set()
    learning = Learning(Recommender(SMALL), threads)
    asyncio.run(learning.run(plays, work.learn, work.noted.append))
    learning.close()
    assert work.noted == [by]


def test_the_event_loop_goes_on_meanwhile() -> None:
    work = Work()

    async def both() -> None:
        learning = Learning(Recommender(SMALL), 1)
        run = asyncio.create_task(learning.run(MANY, work.learn, work.noted.append))
        await work.until_begun()
        assert work.noted == []
        work.go_on.set()
        await run
        learning.close()

    asyncio.run(both())
    assert work.noted == ["LearningThreads"]


def test_a_cancelled_call_ends_after_the_batch_is_noted() -> None:
    work = Work()

    async def cancel() -> None:
        learning = Learning(Recommender(SMALL), 1)
        run = asyncio.create_task(learning.run(MANY, work.learn, work.noted.append))
        await work.until_begun()
        run.cancel()
        _soon(work.go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await run
        assert work.noted == ["LearningThreads"]
        learning.close()

    asyncio.run(cancel())


def test_an_error_of_the_batch_is_raised_and_nothing_noted() -> None:
    noted: list[object] = []

    def fail(learner: object) -> None:
        raise ValueError("no")

    learning = Learning(Recommender(SMALL), 1)
    with pytest.raises(ValueError, match="no"):
        asyncio.run(learning.run(MANY, fail, noted.append))
    learning.close()
    assert noted == []


def _soon(call: Callable[[], None]) -> None:
    threading.Timer(0.05, call).start()
