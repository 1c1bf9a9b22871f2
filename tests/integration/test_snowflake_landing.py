"""The landing sink as a real process on a real broker, killed at every step of a file's way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from contracts.events import Feedback, encode
from contracts.ids import partition_of
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from tests.integration.forked_sink import SINK, Sinks
from tests.integration.streams_kit import Kit, make_kit
from tests.snowflake_emulator.deployment import Deployment, deployed
from tests.snowflake_emulator.faults import POINTS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("snowflake")) as deployment:
        yield deployment


@pytest.fixture
def kit(tmp_path: Path, broker: Server, valkey: Valkey) -> Iterator[Kit]:
    yield from make_kit(tmp_path, kafka=broker, redis_url=valkey.address)


@pytest.fixture
def sinks(kit: Kit, snowflake: Deployment) -> Iterator[Sinks]:
    made = Sinks(kit.settings, snowflake.environ(snowflake.loader))
    made.log.parent.mkdir(parents=True, exist_ok=True)
    yield made
    snowflake.faults.clear()
    if made.process is not None and made.process.is_alive():
        made.process.kill()


def assert_raw_exact(kit: Kit, snowflake: Deployment) -> None:
    """Every delivered play is in RAW once, at its own place, after a kill at any point."""
    rows = snowflake.ask(
        "select kafka_partition, kafka_offset, position, user_id, event_id "
        f"from {{db}}.RAW.PLAYS where log_id = '{kit.log_id}'"
    )
    assert len({row[:3] for row in rows}) == len(rows)
    expected = Counter((s.user_id, p.event_id) for s in kit.sent for p in s.plays)
    assert Counter(row[3:] for row in rows) == expected


def test_kills_at_every_step_neither_lose_nor_double(
    kit: Kit, sinks: Sinks, snowflake: Deployment
) -> None:
    """Each start resumes after the kill before it, and is killed one step further on."""
    for number, point in enumerate(POINTS):
        kit.send_random(40, seed=100 + number)
        # The second file of a flush: some partitions are through and others are not.
        hold = snowflake.faults.hold(point, skip=1 if point.startswith("upload") else 0)
        sinks.start()
        assert hold.reached.wait(60), f"{point} is not reached: {sinks.tail()}"
        sinks.kill()
        snowflake.faults.clear()
    sinks.start()
    kit.wait_applied(SINK)
    assert_raw_exact(kit, snowflake)
    sinks.stop()
    group = f"{kit.settings.namespace}.{SINK}"
    committed = kit.committed(group)
    reached = dict(
        snowflake.ask(
            "select kafka_partition, max(kafka_offset) + 1 from {db}.RAW.PLAYS "
            f"where log_id = '{kit.log_id}' group by 1"
        )
    )
    assert committed == reached, "lag monitors see what has landed"


def test_feedback_lands_beside_plays_and_poison_is_set_aside(
    kit: Kit, sinks: Sinks, snowflake: Deployment
) -> None:
    kit.send_random(10, seed=140)
    kit.send((1, b"nonsense"))
    said = Feedback(
        user_id="ada", kind="love", at=1_700_000_000_000, source="t", artist="Air", title="One"
    )
    topic = kit.plays.replace("plays", "feedback")
    producer = Producer({"bootstrap.servers": kit.settings.kafka})
    producer.produce(topic, encode(said), b"ada", partition_of("ada", kit.settings.partitions))
    assert producer.flush(30) == 0
    sinks.start()
    kit.wait_applied(SINK)
    assert_raw_exact(kit, snowflake)
    assert [x.reason for x in kit.dead_letters()] == ["bad-json"]
    rows = snowflake.ask("select user_id, kind, given_at from {db}.RAW.FEEDBACK")
    assert [row[:2] for row in rows] == [("ada", "love")]
    assert rows[0][2].timestamp() == 1_700_000_000
