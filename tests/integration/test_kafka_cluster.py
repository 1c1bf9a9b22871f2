"""Three brokers with TLS, passwords and ACLs: one is killed under load, settings are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, Message, TopicPartition
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from contracts import kafka_client
from contracts.errors import BrokerUnavailable, ConfigurationError
from contracts.ids import partition_of
from contracts.kafka import asking, describe, end_offsets, ensure_topics, log_id, set_retention
from contracts.settings import Settings
from contracts.topics import Topics
from infra.operations import acls
from infra.operations.replay import reconcile
from infra.stack import copies
from infra.stack.home import Home
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import Process, python, wait_until
from infra.stack.progress import heartbeats, wait_applied
from infra.stack.valkey import Valkey
from tests.integration.kafka_cluster import PASSWORD, KafkaCluster
from tests.integration.tls import issue

pytestmark = [pytest.mark.integration, pytest.mark.kafka]
NAMESPACE = "ring"
PARTITIONS = 6
#: One listener in each partition.
USERS = [
    next(name for name in map("u{}".format, count()) if partition_of(name, PARTITIONS) == p)
    for p in range(PARTITIONS)
]
WORKERS = ("api", "listeners", "lake-sink")
FOLDS = ("listeners", "lake-sink")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    users = ["admin", *(f"{NAMESPACE}-{name}" for name in WORKERS)]
    made = KafkaCluster(tmp_path_factory.mktemp("ring"), users)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def settings(
    cluster: KafkaCluster, valkey: Valkey, postgres: Postgres, tmp_path_factory: Any
) -> Settings:
    """The operator's settings of one deployment on the cluster."""
    return Settings(
        home=tmp_path_factory.mktemp("deployed"),
        namespace=NAMESPACE,
        kafka=cluster.secure,
        kafka_security="SASL_SSL",
        kafka_user="admin",
        kafka_password=PASSWORD,
        kafka_ca=str(cluster.ca),
        kafka_compression="zstd",
        redis_url=valkey.address,
        postgres_dsn=postgres.address.replace("search_path%3Dsegue", f"search_path%3D{NAMESPACE}"),
        partitions=PARTITIONS,
        port=free_ports(1)[0],
        lake_seconds=0.5,
    )


def command(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("infra.cli", *words),
        env={**os.environ, **settings.environ()},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@dataclass
class Posting:
    """A client that posts plays one request after the other, each until it is accepted."""

    settings: Settings
    token: str
    plays: list[dict[str, Any]] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        start = int(time.time() * 1000) - 30 * 86_400_000
        address = f"http://127.0.0.1:{self.settings.port}/v1/plays"
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx.Client(headers=headers, timeout=60) as client:
            while not self.stopping.is_set():
                number = len(self.plays)
                body = [
                    {"user": USERS[i], "artist": "Air", "title": f"T{number + i}",
                     "played_at": start + 1000 * (number + i)}
                    for i in range(len(USERS))
                ]  # fmt: skip
                while True:
                    answer = client.post(address, json={"plays": body})
                    if answer.status_code == 202:
                        break
                    self.refusals.append(f"{answer.status_code} {answer.text[:120]}")
                    assert answer.status_code == 503, answer.text
                    time.sleep(0.1)
                self.plays += body
                self.accepted |= {result["event_id"] for result in answer.json()["results"]}
                time.sleep(0.05)


@pytest.fixture(scope="module")
def deployed(cluster: KafkaCluster, settings: Settings) -> Iterator[dict[str, Process]]:
    """`init`, the ACLs, then an API and two folds, each with the login of its own principal."""
    made = command(settings, "init")
    assert made.returncode == 0, made.stderr
    assert not made.stderr, made.stderr  # every topic is as it should be
    done = command(settings, "acls", "--apply")
    assert done.returncode == 0, done.stderr
    processes = {}
    try:
        for name in WORKERS:
            own = replace(settings, kafka_user=acls.user(settings, name))
            processes[name] = Process(
                name,
                python("infra.cli", "worker", name),
                settings.paths.log(name),
                env={**os.environ, **own.environ()},
            )
            processes[name].start()
        assert wait_until(lambda: _serves(settings), 120), processes["api"].tail(20)
        yield processes
    finally:
        codes = {name: process.stop(timeout=30) for name, process in processes.items()}
    assert codes == dict.fromkeys(WORKERS, 0), processes["listeners"].tail(30)


def _serves(settings: Settings) -> bool:
    try:
        address = f"http://127.0.0.1:{settings.port}/readyz?scope=api"
        return httpx.get(address, timeout=3).status_code == 200
    except httpx.HTTPError:
        return False


def test_topics_have_three_copies_of_which_two_are_written(
    deployed: dict[str, Process], settings: Settings
) -> None:
    topics = Topics(NAMESPACE)
    with asking(settings) as client:
        found = {topic: describe(client, topic) for topic in topics.configs()}
    assert {len(p.replicas) for d in found.values() for p in d.partitions} == {3}
    assert copies.faults(settings, list(found)) == []
    doctor = json.loads(command(settings, "doctor", "--json").stdout)
    (line,) = (check for check in doctor["checks"] if check["name"] == "kafka")
    assert line["level"] == "ok", line


def test_a_principal_does_only_what_its_worker_does(
    deployed: dict[str, Process], settings: Settings
) -> None:
    sink = replace(settings, kafka_user=acls.user(settings, "lake-sink"))
    refused: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        refused.append(error)

    producer = kafka_client.producer(sink, "test")
    producer.produce(Topics(NAMESPACE).plays, b"forged", b"u1", 0, on_delivery=delivered)
    producer.flush(20)
    (error,) = refused
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    listeners = replace(settings, kafka_user=acls.user(settings, "listeners"))
    reader = kafka_client.consumer(listeners, "test")
    reader.assign([TopicPartition(Topics(NAMESPACE).impressions, 0, 0)])
    (message,) = reader.consume(1, 20)
    reader.close()
    found = message.error()
    assert found is not None
    assert found.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(ConfigurationError, match="segue acls"):
        set_retention(listeners, Topics(NAMESPACE).configs(30))


def test_wrong_settings_are_one_clear_line(
    cluster: KafkaCluster, settings: Settings, tmp_path: Path
) -> None:
    configs = {f"{NAMESPACE}.wrong": {"retention.ms": "-1"}}
    wrong = replace(settings, kafka_password="guess")
    with pytest.raises(ConfigurationError, match="check SEGUE_KAFKA_USER and SEGUE_KAFKA_PASS"):
        ensure_topics(wrong, configs)
    other, _ = issue(tmp_path)
    with pytest.raises(ConfigurationError, match="check SEGUE_KAFKA_CA"):
        ensure_topics(replace(settings, kafka_ca=str(other)), configs)
    with pytest.raises(ConfigurationError, match="SEGUE_KAFKA_CA=/nowhere: No such file"):
        ensure_topics(replace(settings, kafka_ca="/nowhere"), configs)
    with pytest.raises(BrokerUnavailable):  # in clear where TLS is spoken
        ensure_topics(Settings(kafka=cluster.secure), configs)
    with pytest.raises(ConfigurationError, match="cannot have 4 copies, 3 brokers"):
        ensure_topics(replace(settings, kafka_replication=4), configs)

    ended = command(wrong, "worker", "lake-sink")
    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() if "SEGUE_KAFKA_PASSWORD" in line]
    assert len(lines) == 1, ended.stderr
    ended = command(wrong, "init")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr


def test_a_topic_of_one_copy_is_refused_unless_it_is_meant(
    cluster: KafkaCluster, settings: Settings
) -> None:
    topic = f"{NAMESPACE}.old"
    with asking(settings) as client:
        client.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(20)
    with pytest.raises(ConfigurationError, match=r"ring\.old is under-replicated: 1 of 2 copies"):
        ensure_topics(settings, {topic: {}})
    ensure_topics(replace(settings, kafka_replication=1), {topic: {}})
    ((fault, _),) = copies.faults(settings, [topic])
    assert "1 of 3 copies on 3 brokers" in fault


def test_topics_that_may_lose_acknowledged_plays_are_named_and_corrected(
    settings: Settings,
) -> None:
    new, old = f"{NAMESPACE}.new", f"{NAMESPACE}.risky"
    ensure_topics(settings, {new: {}})
    risky = {"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}
    with asking(settings) as client:
        client.create_topics([NewTopic(old, PARTITIONS, 3, config=risky)])[old].result(20)
    assert wait_until(lambda: len(copies.faults(settings, [new, old])) == 2, 60)
    found = [fault for fault, todo in copies.faults(settings, [new, old])]
    assert [fault.split(",")[0] for fault in found] == [
        "ring.risky: min.insync.replicas is 1",
        "ring.risky: unclean.leader.election.enable is true",
    ]
    assert copies.make_safe(settings, [new, old]) == {
        "min.insync.replicas=2": [old],
        "unclean.leader.election.enable=false": [old],
    }
    assert copies.make_safe(settings, [new, old]) == {}
    assert copies.faults(settings, [new, old]) == []


@pytest.mark.timeout(600)
def test_a_broker_killed_under_load_loses_nothing_and_stops_nothing(
    deployed: dict[str, Process], cluster: KafkaCluster, settings: Settings
) -> None:
    topic = Topics(NAMESPACE).plays
    start = reconcile.Mark(log_id(settings, topic), end_offsets(settings, topic), 0)
    posting = Posting(settings, Home(settings.home).paths.admin_token.read_text().strip())
    client = threading.Thread(target=posting.run)
    client.start()
    try:
        assert wait_until(lambda: len(posting.accepted) > 60, 90), posting.refusals[-3:]
        assert wait_until(lambda: _report(settings), 90)
        with asking(settings) as admin:
            leaders = [p.leader.id for p in describe(admin, topic).partitions]
        victim = max(cluster.nodes, key=lambda node: leaders.count(node.number))
        assert victim.number in leaders
        victim.kill()
        before = len(posting.accepted)
        # Each request holds a play of every partition: once accepted, all of them have a leader.
        assert wait_until(lambda: len(posting.accepted) > before + 300, 120), posting.refusals[-3:]
        with asking(settings) as admin:
            now = {p.leader.id for p in describe(admin, topic).partitions}
        assert victim.number not in now
    finally:
        posting.stopping.set()
        client.join()
    behind = wait_applied(settings, 120, FOLDS)
    assert not behind, [deployed[name].tail(10) for name in FOLDS]
    assert all(process.pid is not None for process in deployed.values())  # none has restarted
    # No worker keeps waiting for the killed broker.
    assert wait_until(
        lambda: {heartbeats(settings)[name].state for name in FOLDS} == {"running"}, 90
    )

    ends = end_offsets(settings, topic)
    deliveries, logged = reconcile.kafka(settings, start, ends)
    assert posting.accepted <= logged
    in_lake = reconcile.lake(settings, start, ends, posting.accepted)
    assert (in_lake.deliveries, in_lake.missing, in_lake.doubled) == (deliveries, 0, 0)
    rows = [(p["user"], p["played_at"] // 1000, p["artist"], p["title"]) for p in posting.plays]
    held = reconcile.feature_store(settings, start, reconcile.window_keys(rows))
    assert (held.deliveries, held.missing, held.doubled) == (deliveries, 0, 0)
    victim.start()
    assert wait_until(lambda: not copies.faults(settings, list(Topics(NAMESPACE).configs())), 90)


def _report(settings: Settings) -> bool:
    """Whether both folds are running."""
    return all(lag.messages is not None for lag in wait_applied(settings, 0, FOLDS))
