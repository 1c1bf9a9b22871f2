"""A topic is known whole when every message that was there was taken, emptied partitions or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from contracts import kafka_client
from contracts.settings import Settings
from contracts.topics import Topics
from streams import topic_follower
from streams.topic_follower import TopicFollower


class Message:
    """A message as confluent-kafka hands it over."""

    def __init__(self, partition: int, offset: int, error: object = None) -> None:
        self._place, self._error = (partition, offset), error

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def error(self) -> object:
        return self._error

    def value(self) -> bytes:
        return b"%d/%d" % self._place


class FakeConsumer:
    """Delivers what the class is given, one list a call; an exception is raised."""

    script: list[Any]

    def __init__(self, _: dict[str, object]) -> None:
        self._left: Iterator[Any] = iter(self.script)

    def assign(self, _: object) -> None: ...

    def close(self) -> None: ...

    def consume(self, _: int, __: float) -> list[Message]:
        found: Any = next(self._left, [])
        if isinstance(found, Exception):
            raise found
        return list(found)


def read(
    monkeypatch: pytest.MonkeyPatch, home: Path, script: list[Any], begins: list[int],
    ends: list[int],
) -> tuple[list[bytes | None], dict[int, int], list[str]]:  # fmt: skip
    """Read a topic whole; return what was taken, the offsets and the calls of ``whole``."""
    monkeypatch.setattr(FakeConsumer, "script", script, raising=False)
    monkeypatch.setattr(kafka_client, "Consumer", FakeConsumer)
    monkeypatch.setattr(topic_follower, "end_offsets", lambda *_: ends)
    monkeypatch.setattr(topic_follower, "begin_offsets", lambda *_: dict(enumerate(begins)))
    monkeypatch.setattr(topic_follower, "_POLL", 0.01)
    settings = Settings(home=home, partitions=len(ends))
    taken: list[bytes | None] = []
    called: list[str] = []
    follower = TopicFollower(
        settings, Topics("segue").erasures, lambda _, __, value: taken.append(value),
        lambda: called.append("whole"),
    )  # fmt: skip
    try:
        follower.read_whole()
        return list(taken), dict(follower.offsets), called
    finally:
        follower.close()
        follower.join(10)


def test_everything_is_taken_before_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = [[Message(0, 0)], [], [Message(1, 0), Message(0, 1)]]
    taken, offsets, called = read(monkeypatch, tmp_path, script, [0, 0], [2, 1])
    assert taken == [b"0/0", b"1/0", b"0/1"]
    assert (offsets, called) == ({0: 2, 1: 1}, ["whole"])


def test_a_partition_that_retention_emptied_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken, offsets, _ = read(monkeypatch, tmp_path, [[Message(1, 4)]], [7, 4], [7, 5])
    assert (taken, offsets) == ([b"1/4"], {0: 0, 1: 5})


def test_trouble_with_the_broker_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    away = KafkaException(KafkaError(KafkaError._TRANSPORT))
    script = [away, [Message(0, 0, error=KafkaError._TRANSPORT)], [Message(0, 0)]]
    taken, offsets, _ = read(monkeypatch, tmp_path, script, [0], [1])
    assert (taken, offsets) == ([b"0/0"], {0: 1})
