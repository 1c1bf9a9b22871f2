"""Suspects on a real broker: who is known, who is left out, who is released."""

from __future__ import annotations

from dataclasses import replace

import pytest
from confluent_kafka import Producer

from contracts.errors import ConfigurationError
from contracts.events import Submission
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.suspects import Suspect, encode, message_key
from contracts.topics import Kind, Topics
from infra.operations import suspects as operations
from infra.stack.process import wait_until
from infra.stack.server import Server
from streams.decode import Batch
from streams.suspects import SuspectFollower, without

pytestmark = [pytest.mark.integration]


def batch(*users: str) -> Batch[Submission]:
    messages = [(n, Submission(user_id=user, plays=[])) for n, user in enumerate(users)]
    return Batch(0, 0, 0, len(users) - 1, messages, [])


def test_a_suspect_is_left_out_until_an_operator_releases(broker: Server) -> None:
    settings = replace(
        Settings(), kafka=broker.address, namespace="suspects", flink="http://127.0.0.1:9"
    )
    topics = Topics(settings.namespace)
    ensure_topics(settings.kafka, topics.configs(flink=True), settings.partitions)
    found = Suspect(user_id="bot", pattern="too-fast", started_at=1, ended_at=2, plays=6)
    producer = Producer({"bootstrap.servers": settings.kafka})
    for value in (encode(found), b"{no message", encode(found)):
        producer.produce(topics.of(Kind.SUSPECTS), value, message_key(found), 1)
    assert producer.flush(20) == 0

    follower = SuspectFollower(settings)
    follower.read_whole()
    try:
        seen = batch("ada", "bot", "ada")
        without(seen, follower.suspects)
        assert [m.user_id for _, m in seen.messages] == ["ada", "ada"]
        assert seen.last == 2  # the place in the log stays: nothing is read again

        assert list(operations.read(settings)) == ["bot"]
        with pytest.raises(ConfigurationError, match="is not suspect"):
            operations.release(settings, "ada")
        operations.release(settings, "bot")
        assert list(operations.read(settings)) == []
        assert wait_until(lambda: "bot" not in follower.suspects, 20)
    finally:
        follower.close()


def test_without_flink_nobody_looks(broker: Server) -> None:
    with pytest.raises(ConfigurationError, match="Flink does not run"):
        operations.read(replace(Settings(), kafka=broker.address))
