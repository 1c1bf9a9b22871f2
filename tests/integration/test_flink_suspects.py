"""Suspects on a real broker: who is known, who is left out, who is released, who is forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from contracts import erasures, suspects_topic
from contracts.erased import Erased
from contracts.errors import ConfigurationError
from contracts.events import Submission
from contracts.kafka import ensure_topics
from contracts.results import Session, Uniques
from contracts.settings import Settings
from contracts.suspects import Suspect, encode, message_key
from contracts.topics import Kind, Topics
from contracts.whole_topic import messages
from infra.operations import suspects as operations
from infra.stack.process import wait_until
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from streams.decode import Batch
from streams.suspects import SuspectFollower, without
from tests.integration.streams_kit import Kit, make_kit

pytestmark = [pytest.mark.integration]


def batch(*users: str) -> Batch[Submission]:
    messages = [(n, Submission(user_id=user, plays=[])) for n, user in enumerate(users)]
    return Batch(0, 0, 0, len(users) - 1, messages, [])


@pytest.fixture
def settings(broker: Server, request: pytest.FixtureRequest) -> Settings:
    name = request.node.originalname.replace("_", "-")[:40]
    made = replace(Settings(), kafka=broker.address, namespace=name, flink="http://127.0.0.1:9")
    ensure_topics(made, Topics(name).configs(flink=True))
    return made


def publish(
    settings: Settings, *values: bytes, to: Kind = Kind.SUSPECTS, key: bytes = b"k"
) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka})
    for value in values:
        producer.produce(Topics(settings.namespace).of(to), value, key, 1)
    assert producer.flush(20) == 0


#: Milliseconds since the epoch; a finding counts for some days from its last play.
NOW = int(time.time() * 1000)


def finding(user: str, ended_at: int = NOW) -> Suspect:
    return Suspect(user_id=user, pattern="too-fast", started_at=1, ended_at=ended_at, plays=6)


def test_a_suspect_is_left_out_until_an_operator_releases(settings: Settings) -> None:
    found = finding("bot")
    publish(settings, encode(found), b"{no message", encode(found), key=message_key(found))

    follower = SuspectFollower(settings, Erased())
    follower.read_whole()
    try:
        seen = batch("ada", "bot", "ada")
        without(seen, follower.suspects)
        assert [m.user_id for _, m in seen.messages] == ["ada", "ada"]
        assert seen.last == 2  # the place in the log stays: nothing is read again

        assert list(operations.read(settings)) == ["bot"]
        with pytest.raises(ConfigurationError, match="is not a suspect"):
            operations.release(settings, "ada")
        operations.release(settings, "bot")
        assert list(operations.read(settings)) == []
        assert wait_until(lambda: "bot" not in follower.suspects, 90)
    finally:
        follower.close()


def test_an_erased_listener_who_returns_is_no_suspect_for_what_was_before(
    settings: Settings,
) -> None:
    publish(settings, encode(finding("bot", NOW + 100)), encode(finding("other")))
    erased = Erased()
    follower = SuspectFollower(settings, erased)
    follower.read_whole()
    try:
        assert set(suspects_topic.read(settings)) == set(follower.suspects) == {"bot", "other"}
        erasure = erasures.Erasure(listener=erasures.listener_key("bot"), before=NOW + 150)
        erased.add(erasure)  # as the worker's own follower does
        publish(settings, erasures.encode(erasure), to=Kind.ERASURES)
        # Windows that were open when the listener left are published later: they count no more.
        publish(settings, encode(finding("bot", NOW + 140)))
        assert set(suspects_topic.read(settings)) == {"other"}
        assert list(follower.suspects) == ["other"]
        publish(settings, encode(finding("bot", NOW + 200)))
        assert set(suspects_topic.read(settings)) == {"bot", "other"}
        assert wait_until(lambda: "bot" in follower.suspects, 90)
    finally:
        follower.close()


@pytest.mark.kafka
def test_a_topic_that_retention_has_emptied_is_read_to_its_end(settings: Settings) -> None:
    """Its end is not 0 and there is nothing to read: nobody may wait for a message."""
    topic = Topics(settings.namespace).of(Kind.SUSPECTS)
    publish(settings, encode(finding("bot")))
    assert len(list(messages(settings, topic))) == 1
    empty(settings, topic)
    assert list(messages(settings, topic)) == []
    follower = SuspectFollower(settings, Erased())
    follower.read_whole()
    follower.close()
    assert list(follower.suspects) == []


def empty(settings: Settings, topic: str) -> None:
    """Delete all records of the partition that :func:`publish` writes to."""
    place = TopicPartition(topic, 1, 1)
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    admin.delete_records([place])[place].result(20)


@pytest.fixture
def kit(tmp_path: Path, broker: Server, valkey: Valkey) -> Iterator[Kit]:
    for made in make_kit(tmp_path, kafka=broker, redis_url=valkey.address):
        made.settings = replace(made.settings, flink="http://127.0.0.1:9")
        ensure_topics(made.settings, Topics(made.settings.namespace).configs(flink=True))
        yield made


def test_the_lake_sink_lands_results(kit: Kit) -> None:
    results: dict[Kind, Suspect | Session | Uniques] = {
        Kind.SUSPECTS: finding("bot"),
        Kind.SESSIONS: Session(user_id="ada", started_at=1, last_played_at=2, plays=2, tracks=1),
        Kind.UNIQUES: Uniques(hour=0, track_id="t", listeners=1, plays=1),
    }
    for kind, result in results.items():
        publish(kit.settings, msgspec.json.encode(result), to=kind)
    kit.start("lake-sink")
    lake = kit.settings.paths.lake
    tables = [str(lake / kind.table) for kind in results]

    def landed(table: str) -> bool:
        """Whether a table has rows: the sink makes it empty, in a commit of its own."""
        there = DeltaTable.is_deltatable(table)
        return there and DeltaTable(table).to_pyarrow_table().num_rows > 0

    assert wait_until(lambda: all(map(landed, tables)), 90)
    for kind, result in results.items():
        (row,) = DeltaTable(lake / kind.table).to_pyarrow_table().to_pylist()
        assert row["plays"] == result.plays
        assert row.get("user_id") == getattr(result, "user_id", None)


def test_without_flink_nobody_looks(broker: Server) -> None:
    with pytest.raises(ConfigurationError, match="Flink does not run"):
        operations.read(replace(Settings(), kafka=broker.address))
