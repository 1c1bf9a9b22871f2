"""Tasks of the API end at shutdown, also if a driver swallows the cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from api import background


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "_AGAIN_SECONDS", 0.01)

    async def deaf(times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def broken() -> None:
        raise OSError("away")

    tasks = [asyncio.create_task(each) for each in (deaf(0), deaf(3), broken())]
    await asyncio.sleep(0)
    await asyncio.wait_for(background.end(tasks), 30)
    assert [task.done() for task in tasks] == [True] * 3
    await background.end([])
