"""Facts about the log hold on every broker: identity, true end, fixed partitions."""

from __future__ import annotations

import socket
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from contracts.errors import BrokerUnavailable, ConfigurationError
from contracts.kafka import begin_offsets, end_offsets, ensure_topics, log_id, set_retention
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.ports import free_ports
from infra.stack.server import Server

pytestmark = pytest.mark.integration


def at(broker: Server, partitions: int = 1) -> Settings:
    """Return settings that name a broker."""
    return Settings(kafka=broker.address, partitions=partitions)


@pytest.fixture
def topic() -> str:
    return f"facts.{uuid.uuid4().hex[:8]}"


@pytest.mark.each_broker
def test_the_end_is_the_true_end_after_batches_of_any_size(broker: Server, topic: str) -> None:
    """Tansu answers with the base offset of the last batch plus one: 1, 2, 12, 112."""
    ensure_topics(at(broker), {topic: {}})
    assert end_offsets(at(broker), topic) == [0]
    total = 0
    for size in (1, 10, 100, 1):
        producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 200})
        for _ in range(size):
            producer.produce(topic, b"x", partition=0)
        assert producer.flush(10) == 0
        total += size
        assert end_offsets(at(broker), topic) == [total]


@pytest.mark.each_broker
def test_a_topic_keeps_its_log_id_and_a_new_one_gets_another(broker: Server, topic: str) -> None:
    first = ensure_topics(at(broker, 2), {topic: {}})[topic]
    assert ensure_topics(at(broker, 2), {topic: {}})[topic] == first
    assert log_id(at(broker), topic) == first
    other = ensure_topics(at(broker, 2), {f"{topic}.other": {}})[f"{topic}.other"]
    assert other != first


@pytest.mark.each_broker
def test_another_number_of_partitions_is_refused(broker: Server, topic: str) -> None:
    ensure_topics(at(broker, 2), {topic: {}})
    with pytest.raises(ConfigurationError, match=r"is 3: .* Set SEGUE_PARTITIONS=2, or"):
        ensure_topics(at(broker, 3), {topic: {}})


@pytest.mark.each_broker
def test_how_long_plays_are_kept_can_be_changed(broker: Server, topic: str) -> None:
    topics = Topics(topic)
    ensure_topics(at(broker), topics.configs())
    assert begin_offsets(at(broker), topics.plays, [0]) == {0: 0}
    assert set_retention(at(broker), topics.configs()) == []
    changed = set_retention(at(broker), topics.configs(30))
    assert sorted(changed) == [topics.feedback, topics.plays]
    assert set_retention(at(broker), topics.configs(30)) == []


def test_no_broker_is_a_retryable_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.kafka._TIMEOUT", 1.0)
    nowhere = Settings(kafka=f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(BrokerUnavailable):
        log_id(nowhere, "any")
    with pytest.raises(BrokerUnavailable):
        begin_offsets(nowhere, "any", [0])


def test_a_broker_that_never_answers_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.kafka._TIMEOUT", 0.1)  # ours runs out before the client's own
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(kafka=f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(BrokerUnavailable, match=r"no answer within 0\.1 s"):
            log_id(settings, "any")


@pytest.mark.each_broker
def test_topics_of_two_namespaces_live_side_by_side(broker: Server, topic: str) -> None:
    ensure_topics(at(broker), {f"a.{topic}": {}, f"b.{topic}": {}})
    names = AdminClient({"bootstrap.servers": broker.address}).list_topics(timeout=10).topics
    assert {f"a.{topic}", f"b.{topic}"} <= set(names)
