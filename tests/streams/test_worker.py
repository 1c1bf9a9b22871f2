"""What a worker reports, and how it ends."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.erased import Erased, Place
from contracts.erasures import Erasure, listener_key
from contracts.errors import BrokerUnavailable
from contracts.heartbeat import STUCK, STUCK_AFTER
from contracts.log_limit import LogLimit
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from streams import erasures, topic_follower
from streams.errors import FAILED
from streams.follow import follow
from streams.heartbeat import Status
from streams.worker import Stopped, Worker

ROOT = Path(__file__).resolve().parents[2]
#: Nobody listens here.
NOWHERE = "127.0.0.1:1"


def test_a_worker_waits_as_long_as_any_part_of_it_does() -> None:
    status = Status()
    status.set_state("running")
    status.waits("plays", "the lake is full")
    status.waits("feedback", "no broker")
    status.goes_on("feedback")
    assert (status.state, status.detail) == ("waiting", "the lake is full")
    status.goes_on("plays")
    assert (status.state, status.detail) == ("running", "")
    status.waits("plays", "no broker")
    status.set_state("stopping", "why")
    assert (status.state, status.detail) == ("stopping", "why")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_stands_still_is_stuck_until_it_turns_or_rests() -> None:
    """The heartbeat has a thread of its own: it continues when the work does not."""
    clock = Clock()
    status = Status(clock)
    status.set_state("running")
    status.turns("plays")
    status.turns("feedback")
    clock.now = STUCK_AFTER
    assert status.state == "running"
    clock.now += 1
    status.turns("feedback")
    assert (status.state, status.detail) == (STUCK, f"plays for {STUCK_AFTER + 1:.0f} s")
    status.waits("plays", "no broker")  # it waits for something, and reports it at every attempt
    assert status.state == "waiting"
    status.goes_on("plays")
    assert status.state == "running"
    clock.now *= 2
    status.rests("plays")
    status.rests("feedback")
    assert status.state == "running"
    status.turns("plays")
    clock.now *= 2
    status.set_state("stopping")
    assert status.state == "stopping"


def test_waiting_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    status = Status()
    status.goes_on("broker")
    for attempt in range(5):
        status.waits("broker", f"attempt {attempt}")
    status.goes_on("broker")
    assert caplog.messages == ["broker waits: attempt 0", "broker resumes"]


def test_a_log_line_repeated_without_end_is_left_out_and_counted() -> None:
    limit = LogLimit(lines=3, seconds=60)

    def lines(second: float, text: str, *arguments: object) -> list[str]:
        record = logging.LogRecord("aiokafka", logging.ERROR, __file__, 1, text, arguments, None)
        record.created = second
        return [record.getMessage()] if limit.filter(record) else []

    said = [line for n in range(10) for line in lines(n, "no node %d", n)]
    assert said == ["no node 0", "no node 1", "no node 2 (more like this are left out for 60 s)"]
    assert lines(11, "something else") == ["something else"]
    assert lines(61, "no node %d", 61) == ["no node 61 (7 like this were left out)"]
    assert lines(62, "no node %d", 62) == ["no node 62"]


def test_a_fault_of_ours_ends_the_process_whatever_threads_are_left(tmp_path: Path) -> None:
    code = f"""
import threading
from pathlib import Path
from contracts.settings import Settings
from streams import worker
worker._THREAD_SECONDS = 0.1
threading.Thread(target=threading.Event().wait).start()  # never ends
settings = Settings(home=Path({str(tmp_path)!r}), kafka={NOWHERE!r}, redis_url="redis://{NOWHERE}")
raise SystemExit(worker.run_worker(settings, "test", lambda _: 1 / 0))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == FAILED
    assert "ZeroDivisionError" in done.stderr


class _Unread:
    """A fold nobody may ask for anything."""

    topics = (Topics("segue").plays,)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def test_a_worker_told_to_stop_while_it_prepares_does_not_begin(tmp_path: Path) -> None:
    worker = Worker(Settings(home=tmp_path, kafka=NOWHERE), "learner")
    worker.stopping.set()
    fold: Any = _Unread()
    with pytest.raises(Stopped):
        follow(worker, lambda: fold, "segue.learner.local", {"segue.plays": "log"})


def test_erasures_read_before_the_broker_went_are_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_follower, "end_offsets", lambda *_: [5])
    monkeypatch.setattr(topic_follower, "begin_offsets", lambda *_: {0: 0})
    monkeypatch.setattr(topic_follower, "_PATIENCE", 0.01)
    erased = Erased()
    settings = Settings(home=tmp_path, kafka=NOWHERE, partitions=1)
    follower = erasures.ErasureFollower(settings, Status(), erased)
    try:
        for _ in range(2):  # the worker asks until the topic is read to its end
            with pytest.raises(BrokerUnavailable):
                follower.read_logs({})
            erased.add(Erasure(listener=listener_key("ada"), before=10))
            assert erased.covers("ada", Place(Kind.PLAYS, 0, 0), 10)
        with pytest.raises(BrokerUnavailable):
            follower.read_logs({})
        assert erased.covers("ada", Place(Kind.PLAYS, 0, 0), 10)
    finally:
        follower.close()
        follower.join(10)
