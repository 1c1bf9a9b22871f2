"""Where topics end: asked side by side, and no request waits longer than it is willing to."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from api.operation import ends as module
from api.operation.ends import Ends
from contracts.errors import BrokerUnavailable


async def test_a_topic_that_does_not_answer_is_unknown_and_keeps_nobody() -> None:
    go = threading.Event()

    def look_up(topic: str) -> list[int]:
        if topic == "slow":
            go.wait(30)
        return [len(topic)]

    ends = Ends(["fast", "slow"], look_up, patience=0.2)
    started = time.monotonic()
    assert await ends.known() == {"fast": [4]}
    assert time.monotonic() - started < 20
    go.set()  # its answer is there for whoever asks next
    while "slow" not in (known := await ends.known()):
        await asyncio.sleep(0.01)
    assert known == {"fast": [4], "slow": [4]}
    await ends.close()


async def test_topics_are_asked_side_by_side() -> None:
    everybody = threading.Barrier(3, timeout=30)

    def look_up(_: str) -> list[int]:
        everybody.wait()  # a broken barrier fails the test
        return [1]

    ends = Ends(["a", "b", "c"], look_up, patience=30)
    assert set(await ends.known()) == {"a", "b", "c"}


async def test_an_answer_is_used_again_until_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    broken = False

    def look_up(topic: str) -> list[int]:
        asked.append(topic)
        if broken:
            raise BrokerUnavailable("away")
        return [len(asked)]

    ends = Ends(["t"], look_up)
    assert await ends.known() == await ends.known() == {"t": [1]}
    monkeypatch.setattr(module, "GOOD_FOR", -1.0)
    assert await ends.known() == {"t": [2]}
    broken = True
    assert await ends.known() == {}


async def test_lag_in_seconds_is_the_age_of_the_answer_beyond_the_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    answers = iter([[5, 0], [8, 0], [8, 2]])
    ends = Ends(["plays"], lambda _: next(answers))
    assert ends.seconds_behind("plays", 0, 0) is None
    for _ in range(3):
        await ends.known()
        now += 60.0
    behind = {position: ends.seconds_behind("plays", 0, position) for position in (0, 4, 5, 7, 8)}
    assert behind == {0: 180.0, 4: 180.0, 5: 120.0, 7: 120.0, 8: 0.0}
    assert ends.seconds_behind("plays", 1, 0) == 60.0
    assert ends.seconds_behind("other", 0, 0) is None
    await ends.close()
