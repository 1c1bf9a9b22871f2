"""A follower that has to stop ends, even if its fold or its store hangs."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.heartbeat import STUCK
from contracts.settings import Settings
from contracts.topics import Topic, Topics
from streams import follow
from streams.decode import Record
from streams.errors import CUT_SHORT, PositionLost
from streams.follow import FaustFollower
from streams.worker import Stopped, Worker

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "127.0.0.1:1"
TOPIC = Topics("segue").plays
#: Far more than an orderly stop takes, far less than for ever.
PATIENCE = 30.0
OVER = threading.Event()


class Fold:
    """A fold without a store; a test replaces what misbehaves."""

    topics: list[Topic]

    def __init__(self) -> None:
        self.topics = [TOPIC]
        self.closed = False
        self.ticks = 0

    async def positions(self) -> dict[TP, int]:
        return {TP(TOPIC, 0): 0}

    async def apply(self, tp: TP, start: int, records: list[Record]) -> None:
        pass

    def durable(self) -> dict[TP, int]:
        return {}

    async def tick(self) -> None:
        self.ticks += 1

    async def close(self) -> None:
        self.closed = True


async def swallow_one() -> None:
    """Wait as redis-py does on Python 3.11: a cancellation that comes meanwhile is lost."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0.05)


async def swallow_all() -> None:
    """Do not end before the test does, whoever asks."""
    while not OVER.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


@pytest.fixture
def follower_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Fold], FaustFollower]:
    """Make a follower whose broker and group answer at once; nobody ends this process."""

    async def nothing(*_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(follow, "start", nothing)
    monkeypatch.setattr("streams.beginning.begin_offsets", lambda *_: {0: 0})
    monkeypatch.setattr(follow, "_TICK", 0.01)
    monkeypatch.setattr(follow, "_BATCH_SECONDS", 0.2)
    monkeypatch.setattr(follow, "_CANCEL_SECONDS", 0.2)
    monkeypatch.setattr(follow, "_CLOSE_SECONDS", 0.5)
    monkeypatch.setattr("streams.worker._end_in_time", lambda: None)

    def make(fold: Fold) -> FaustFollower:
        worker = Worker(Settings(home=tmp_path, kafka=NOWHERE, partitions=1), "listeners")
        made = FaustFollower(worker, fold, "segue.test", {TOPIC: "log"})
        monkeypatch.setattr(made.watch, "check", lambda: None)
        monkeypatch.setattr(made.app, "stop", nothing)
        return made

    OVER.clear()
    return make


async def stop_after_ticks(follower: FaustFollower, fold: Fold) -> None:
    """Run a follower, ask it to stop once it works, and wait for its end."""
    running = asyncio.create_task(follower.run())
    while fold.ticks < 3:
        await asyncio.sleep(0.01)
        assert not running.done(), running.exception()
    follower._told_to_stop()
    try:
        async with asyncio.timeout(PATIENCE):
            await running
    finally:
        OVER.set()  # the event loop of the test waits for every task


async def test_a_swallowed_cancellation_does_not_keep_a_worker(
    follower_of: Callable[[Fold], FaustFollower],
) -> None:
    class Swallowing(Fold):
        async def tick(self) -> None:
            await super().tick()
            await swallow_one()

    fold = Swallowing()
    await stop_after_ticks(follower_of(fold), fold)
    assert fold.closed


async def test_a_loop_that_never_ends_is_left_behind(
    follower_of: Callable[[Fold], FaustFollower], caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(Fold):
        async def tick(self) -> None:
            await super().tick()
            if self.ticks >= 3:
                await swallow_all()

    fold = Stuck()
    await stop_after_ticks(follower_of(fold), fold)
    assert fold.closed
    assert "these tasks ignored their cancellation: FaustFollower._tick" in caplog.text


async def test_a_store_that_hangs_while_it_is_closed_is_left_behind(
    follower_of: Callable[[Fold], FaustFollower], caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging(Fold):
        async def close(self) -> None:
            await swallow_all()

    fold = Hanging()
    await stop_after_ticks(follower_of(fold), fold)
    assert "Hanging.close did not end within 0.5 s" in caplog.text


async def test_told_to_stop_while_its_store_is_away(
    follower_of: Callable[[Fold], FaustFollower],
) -> None:
    class Away(Fold):
        async def positions(self) -> dict[TP, int]:
            self.ticks += 1
            raise StoreUnavailable("Redis: away")

    fold = Away()
    with pytest.raises(Stopped):
        await stop_after_ticks(follower_of(fold), fold)


async def test_what_a_loop_raises_ends_the_worker(
    follower_of: Callable[[Fold], FaustFollower],
) -> None:
    class Failing(Fold):
        async def tick(self) -> None:
            raise ZeroDivisionError

    fold = Failing()
    with pytest.raises(ZeroDivisionError):
        await follower_of(fold).run()
    assert fold.closed


@pytest.mark.parametrize("hanging", [swallow_one, swallow_all])
async def test_a_store_that_does_not_answer_does_not_keep_faust_from_resuming(
    follower_of: Callable[[Fold], FaustFollower],
    monkeypatch: pytest.MonkeyPatch,
    hanging: Callable[[], Awaitable[None]],
) -> None:
    monkeypatch.setattr(follow, "_POSITIONS_SECONDS", 0.01)

    class Away(Fold):
        async def positions(self) -> dict[TP, int]:
            await hanging()
            raise StoreUnavailable("Redis: away")

    follower = follower_of(Away())
    follower._known = {TP(TOPIC, 0): 5}
    try:
        async with asyncio.timeout(PATIENCE):
            assert await follower._positions({TP(TOPIC, 0)}) == {TP(TOPIC, 0): 5}
    finally:
        OVER.set()


async def test_a_worker_whose_partitions_are_not_read_after_a_rebalance_ends(
    follower_of: Callable[[Fold], FaustFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place in the group would keep every other process from reading them."""
    monkeypatch.setattr(follow, "_RESUME_SECONDS", 0.2)
    fold = Fold()
    follower = follower_of(fold)
    follower.app.assigned_at = asyncio.get_running_loop().time()
    with pytest.raises(BrokerUnavailable, match="after a rebalance"):
        await follower.run()
    assert fold.ticks > 1  # not at once: an assignment takes its time
    assert fold.closed


async def test_messages_taken_before_the_store_was_set_back_end_the_worker(
    follower_of: Callable[[Fold], FaustFollower],
) -> None:
    """The store's offset fell while they waited: those between would never be applied."""
    follower = follower_of(Fold())
    tp = TP(TOPIC, 0)
    follower._known = {tp: 3}
    with pytest.raises(PositionLost):
        await follower._apply_all({tp: [Record(5, b"x")]})
    await follower._apply_all({tp: [Record(5, b"x")]}, gaps=True)
    assert follower._known == {tp: 6}


def test_a_worker_whose_store_never_answers_ends_all_the_same(tmp_path: Path) -> None:
    """A real process, a real SIGTERM, a body that looks at nothing (a lock in PostgreSQL)."""
    code = f"""
import os, signal, time
from pathlib import Path
from contracts.settings import Settings
from streams import worker
worker.STOP_SECONDS = 0.5

def body(_):
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        time.sleep(60)

settings = Settings(home=Path({str(tmp_path)!r}), kafka={NOWHERE!r}, redis_url="redis://{NOWHERE}")
raise SystemExit(worker.run_worker(settings, "history-sink", body))
"""
    done: Any = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == CUT_SHORT
    assert "still running 0.5 s after the request to stop" in done.stderr
    assert "most recent call first" in done.stderr, "the log shows where each thread was"


@pytest.mark.parametrize("part", ["store", "loop"])
def test_a_fold_that_never_returns_is_reported_as_stuck(
    follower_of: Callable[[Fold], FaustFollower], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Whether it hangs in a batch or between two: the other loop runs on and must not hide it."""
    monkeypatch.setattr("streams.heartbeat.STUCK_AFTER", 0.3)

    class Hangs(Fold):
        async def apply(self, tp: TP, start: int, records: list[Record]) -> None:
            await (swallow_one() if OVER.is_set() else asyncio.sleep(3600))

        async def tick(self) -> None:
            self.ticks += 1
            if part == "loop" and self.ticks > 3:
                await asyncio.sleep(3600)

    fold = Hangs()
    follower = follower_of(fold)
    status = follower.worker.status

    async def main() -> None:
        running = asyncio.create_task(follower.run())
        while fold.ticks < 3:
            await asyncio.sleep(0.01)
        assert status.state != STUCK
        if part == "store":
            follower.buffer.seek({TP(TOPIC, 0): 0})
            follower.buffer.add(TP(TOPIC, 0), [Record(0, b"", b"")])
        async with asyncio.timeout(PATIENCE):
            while status.state != STUCK:
                await asyncio.sleep(0.01)
        assert status.detail.startswith(part)
        follower._told_to_stop()
        await running

    asyncio.run(main())
