"""Facts about the log hold on every broker: identity, true end, fixed partitions."""

from __future__ import annotations

import socket
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from contracts.errors import BrokerUnavailable, ConfigurationError
from contracts.kafka import begin_offsets, end_offsets, ensure_topics, log_id, set_retention
from contracts.topics import Topics
from infra.stack.ports import free_ports
from infra.stack.server import Server

pytestmark = pytest.mark.integration


@pytest.fixture
def topic() -> str:
    return f"facts.{uuid.uuid4().hex[:8]}"


@pytest.mark.each_broker
def test_the_end_is_the_true_end_after_batches_of_any_size(broker: Server, topic: str) -> None:
    """Tansu answers with the base offset of the last batch plus one: 1, 2, 12, 112."""
    ensure_topics(broker.address, {topic: {}}, 1)
    assert end_offsets(broker.address, topic, 1) == [0]
    total = 0
    for size in (1, 10, 100, 1):
        producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 200})
        for _ in range(size):
            producer.produce(topic, b"x", partition=0)
        assert producer.flush(10) == 0
        total += size
        assert end_offsets(broker.address, topic, 1) == [total]


@pytest.mark.each_broker
def test_a_topic_keeps_its_log_id_and_a_new_one_gets_another(broker: Server, topic: str) -> None:
    first = ensure_topics(broker.address, {topic: {}}, 2)[topic]
    assert ensure_topics(broker.address, {topic: {}}, 2)[topic] == first
    assert log_id(broker.address, topic) == first
    other = ensure_topics(broker.address, {f"{topic}.other": {}}, 2)[f"{topic}.other"]
    assert other != first


@pytest.mark.each_broker
def test_another_number_of_partitions_is_refused(broker: Server, topic: str) -> None:
    ensure_topics(broker.address, {topic: {}}, 2)
    with pytest.raises(ConfigurationError, match="SEGUE_PARTITIONS"):
        ensure_topics(broker.address, {topic: {}}, 3)


@pytest.mark.each_broker
def test_how_long_plays_are_kept_can_be_changed(broker: Server, topic: str) -> None:
    topics = Topics(topic)
    ensure_topics(broker.address, topics.configs(), 1)
    assert begin_offsets(broker.address, topics.plays, [0]) == {0: 0}
    assert set_retention(broker.address, topics.configs()) == []
    changed = set_retention(broker.address, topics.configs(30))
    assert sorted(changed) == [topics.feedback, topics.plays]
    assert set_retention(broker.address, topics.configs(30)) == []


def test_no_broker_is_a_retryable_error() -> None:
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(BrokerUnavailable):
        log_id(nowhere, "any")
    with pytest.raises(BrokerUnavailable):
        begin_offsets(nowhere, "any", [0])


def test_a_broker_that_never_answers_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.kafka._TIMEOUT", 0.1)  # ours runs out before the client's own
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerUnavailable, match=r"no answer within 0\.1 s"):
            log_id(address, "any")


@pytest.mark.each_broker
def test_topics_of_two_namespaces_live_side_by_side(broker: Server, topic: str) -> None:
    ensure_topics(broker.address, {f"a.{topic}": {}, f"b.{topic}": {}}, 1)
    names = AdminClient({"bootstrap.servers": broker.address}).list_topics(timeout=10).topics
    assert {f"a.{topic}", f"b.{topic}"} <= set(names)
