"""The loop of the sinks without a broker: holes in the log, how often it fetches, how it ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from contracts.errors import StoreUnavailable
from contracts.events import encode
from contracts.heartbeat import STUCK
from contracts.settings import Settings
from contracts.topics import Topics
from streams.consume import Follower, _fetch_settings, follow_together
from streams.decode import Batch
from streams.errors import PositionLost
from streams.shared import SharedFollower
from streams.worker import Stopped, Worker
from tests.streams.plays import submission

#: Nobody listens here.
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(Settings(home=tmp_path, kafka=NOWHERE, partitions=1), "lake-sink")


class _Message:
    """What librdkafka hands over."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return 0

    def key(self) -> bytes:
        return b"ada"

    def value(self) -> bytes:
        return encode(submission("ada", (self._offset, 1)))


class _Nothing:
    """A store that has applied offset 4."""

    def positions(self) -> dict[int, int]:
        return {0: 5}

    def write(self, batches: list[Batch[Any]]) -> int:
        raise AssertionError(batches)


@pytest.mark.parametrize("hole", [[9], [8, 10], [7, 8]])
def test_a_message_that_is_missing_is_not_passed_over(worker: Worker, hole: list[int]) -> None:
    follower = Follower[Any](
        worker, worker.topics.plays, "log", _Nothing(), seconds=1.0, rows=1_000
    )
    follower.positions, follower._next = {0: 5}, {0: 5}
    follower._accept([_Message(offset) for offset in (5, 6, 7)])  # type: ignore[misc]
    with pytest.raises(PositionLost, match="expected offset 8"):
        follower._accept([_Message(offset) for offset in hole])  # type: ignore[misc]


def test_the_wait_for_more_is_a_part_of_the_time_between_two_flushes() -> None:
    topics = Topics("segue")
    held = [
        _fetch_settings(topics.plays, seconds)["fetch.wait.max.ms"]
        for seconds in (0.25, 1.0, 2.0, 60.0)
    ]
    assert held == [250, 1000, 2000, 2000]
    # Rare messages: the fetch is held long, and ends with the first one.
    assert _fetch_settings(topics.feedback, 0.25) == {
        "fetch.wait.max.ms": 5000,
        "fetch.min.bytes": 1,
    }


def test_a_store_that_never_answers_is_reported_as_stuck(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.heartbeat.STUCK_AFTER", 0.2)
    found, over = threading.Event(), threading.Event()

    class Hangs(_Nothing):
        def write(self, batches: list[Batch[Any]]) -> int:
            found.set()
            over.wait(30)
            raise StoreUnavailable("over")

    topic = worker.topics.plays
    follower = Follower[Any](worker, topic, "log", Hangs(), seconds=0, rows=1)
    given = [[_Message(5)]]
    consumer = SimpleNamespace(
        assign=lambda _: None,
        close=lambda: None,
        consume=lambda *_: given.pop() if given else [],
    )
    monkeypatch.setattr("contracts.kafka_client.Consumer", lambda _: consumer)
    monkeypatch.setattr("streams.beginning.begin_offsets", lambda *_: {0: 5})
    monkeypatch.setattr(follower.watch, "check", lambda: None)
    running = threading.Thread(target=follower.run)
    running.start()
    assert found.wait(30)
    while worker.status.state != STUCK:
        time.sleep(0.01)
    assert worker.status.detail.startswith(topic)
    worker.stopping.set()
    over.set()
    running.join(30)
    assert not running.is_alive()
    assert worker.status.state == "waiting"


class _Ends:
    """A follower that ends in some way, or for another one's sake."""

    def __init__(self, worker: Worker, error: Exception) -> None:
        self.worker = worker
        self.error = error

    def run(self) -> None:
        if isinstance(self.error, Stopped):
            self.worker.stopping.wait(10)
        raise self.error


def test_the_reason_is_told_by_the_follower_that_had_to_end(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = threading.Event()
    monkeypatch.setattr("streams.worker._end_in_time", guarded.set)
    followers: list[Any] = [_Ends(worker, Stopped()), _Ends(worker, PositionLost("lost"))]
    with pytest.raises(PositionLost):
        follow_together(worker, followers)
    assert guarded.wait(10), "a follower that hangs must not keep the others' process"


@pytest.mark.parametrize("closing", [False, True])
def test_partitions_that_come_while_a_shared_sink_stops_are_not_looked_up(
    worker: Worker, closing: bool
) -> None:
    class Asked(_Nothing):
        def positions(self) -> dict[int, int]:
            raise AssertionError("it asks the store")

    follower = SharedFollower[Any](worker, worker.topics.plays, "log", Asked(), seconds=0, rows=1)
    left: list[str] = []
    consumer: Any = SimpleNamespace(unassign=lambda: left.append("unassigned"))
    if closing:
        follower._closing = True
    else:
        worker.stopping.set()
    follower._assigned(consumer, [TopicPartition(worker.topics.plays, 0)])
    assert left == ["unassigned"]
    assert follower.positions == {}
