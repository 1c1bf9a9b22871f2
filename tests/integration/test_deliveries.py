"""A message counts as acknowledged only if a broker gave its offset."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from confluent_kafka import KafkaError, Message

from api.producer import LogRecord, PlayLog
from contracts import kafka_client
from contracts.deliveries import Deliveries
from contracts.errors import BrokerUnavailable
from contracts.kafka import end_offsets, ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.operations.repartition.copier import Copier
from infra.operations.repartition.origins import Origin
from infra.stack.process import wait_until
from tests.integration.young_leader import YoungLeader, young_leader

pytestmark = [pytest.mark.integration, pytest.mark.kafka]
_NAMES = map("young{}".format, count())


@pytest.fixture(scope="module")
def leader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[YoungLeader]:
    with young_leader(tmp_path_factory.mktemp("young")) as running:
        yield running


@pytest.fixture
def topics(leader: YoungLeader) -> Topics:
    found = Topics(next(_NAMES))
    ensure_topics(settings(leader), {found.plays: {}})
    return found


def settings(leader: YoungLeader) -> Settings:
    return Settings(kafka=leader.address, partitions=1)


def held(leader: YoungLeader, topics: Topics) -> int:
    """Return how many messages the log holds."""
    (end,) = end_offsets(settings(leader), topics.plays)
    return end


def test_the_library_reports_a_message_that_no_log_holds(
    leader: YoungLeader, topics: Topics
) -> None:
    """If this fails, librdkafka or Kafka has fixed it: is ``contracts.deliveries`` still needed?"""
    producer = kafka_client.producer(settings(leader), "test", {"linger.ms": 0})
    reports: list[tuple[KafkaError | None, int | None]] = []
    deliveries = Deliveries()

    def note(error: KafkaError | None, message: Message) -> None:
        reports.append((error, message.offset()))
        deliveries(error, message)

    refused, pipelined = leader.refused, leader.pipelined
    leader.refuse()
    producer.produce(topics.plays, b"one", partition=0, on_delivery=note)
    assert wait_until(lambda: leader.refused > refused, 20)
    producer.produce(topics.plays, b"two", partition=0, on_delivery=note)
    why = deliveries.wait(producer, 20)
    assert leader.pipelined == pipelined + 1
    assert reports == [(None, None), (None, 0)]
    assert held(leader, topics) == 1
    assert why.startswith("1 not acknowledged: no broker gave an offset")


async def test_the_api_does_not_answer_202_for_such_a_play(
    leader: YoungLeader, topics: Topics
) -> None:
    log = PlayLog(settings(leader))
    refused = leader.refused
    leader.refuse()
    first = asyncio.create_task(log.append([LogRecord(topics.plays, b"ada", b"one", 0)]))
    assert await asyncio.to_thread(wait_until, lambda: leader.refused > refused, 20)
    await log.append([LogRecord(topics.plays, b"ada", b"two", 0)])
    with pytest.raises(BrokerUnavailable, match="no broker gave an offset"):
        await first
    await log.append([LogRecord(topics.plays, b"ada", b"one", 0)])  # as a client does
    assert await log.close() == 0
    assert await asyncio.to_thread(held, leader, topics) == 2


def test_the_copy_of_a_log_has_no_gap(leader: YoungLeader, topics: Topics) -> None:
    """A later run resumes after the last copy, so an error would come too late."""
    refused = leader.refused
    leader.refuse()
    with Copier(settings(leader)) as copies:
        for offset in range(3):
            copies.send(topics.plays, 0, b"ada", b"{}", Origin("log", 0, offset))
            assert wait_until(lambda: leader.refused > refused, 20)
        copies.settle()
    assert held(leader, topics) == 3
