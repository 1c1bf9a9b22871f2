"""The log moves into a namespace with more partitions while plays come: each lands exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
from confluent_kafka import Producer

from batch import warehouse
from contracts import heartbeat, suspects
from contracts.database_roles import SINK
from contracts.erasures import Erasure, encode, listener_key
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.features import Keys
from contracts.heartbeat import Heartbeat
from contracts.ids import partition_of
from contracts.kafka import asking, end_offsets, ensure_topics, log_id
from contracts.postgres import connect
from contracts.settings import Settings
from contracts.suspects import Suspect
from contracts.topics import Kind, Topics
from contracts.whole_topic import messages
from contracts.workers import API, BY_NAME, CORE_FOLDS, wanted
from infra.operations import suspects as operations
from infra.operations.database import feature_store
from infra.operations.erasure.log import ends as ends_of_logs
from infra.operations.erasure.requests import LOCK_KEY
from infra.operations.interactions import InteractionLog
from infra.operations.repartition import pause
from infra.operations.repartition.clean import clean
from infra.operations.repartition.origins import Origin
from infra.operations.repartition.run import repartition
from infra.operations.replay.post import Posted, expected_ids
from infra.operations.replay.reconcile import Mark
from infra.operations.replay.run import Outcome, count, replay
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import python, wait_until
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from tests.integration.conftest import RunningStack
from tests.integration.streams_kit import Kit, make_kit
from tests.plays import interactions
from tests.streams.plays import submission

# The embedded broker loses its log when it stops, so nobody moves it: Apache Kafka is enough.
pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.timeout(600)]

_BESIDE = {"eraser", "api", "web"}
#: Runs the command and kills its process after so many copies, half of them acknowledged.
_KILLED = """
import os, signal, sys
from infra.cli.main import main
from infra.operations.repartition.copier import Copier
send, most, sent = Copier.send, int(sys.argv.pop(1)), 0
def deadly(self, *copy):
    global sent
    sent += 1
    if sent == most:
        os.kill(os.getpid(), signal.SIGKILL)
    send(self, *copy)
    if sent == most // 2:
        self.settle()
Copier.send = deadly
main()
"""


def copied(source: Settings, target: Settings, topic: str) -> Counter[tuple[int, int]]:
    """Return how often each place of the source lies in the target; check where."""
    found: Counter[tuple[int, int]] = Counter()
    for message in messages(target, topic):
        origin = Origin.of(message)
        if origin is not None:
            q = partition_of((message.key() or b"").decode(), target.partitions)
            assert (message.partition(), q % source.partitions) == (q, origin.partition)
            found[origin.partition, origin.offset] += 1
    return found


def places(settings: Settings, topic: str) -> set[tuple[int, int]]:
    return {
        (p, offset) for p, end in enumerate(end_offsets(settings, topic)) for offset in range(end)
    }


def left(settings: Settings) -> tuple[list[str], list[bytes | str]]:
    """Return the topics and the Redis keys of a namespace; brokers take a moment to delete."""
    name = settings.namespace

    def topics() -> list[str]:
        with asking(settings) as client:
            known = client.list_topics(timeout=10).topics
        return [topic for topic in known if topic.startswith(f"{name}.")]

    wait_until(lambda: not topics(), 20, 0.5)
    with feature_store(settings) as store:
        keys = store.keys(f"{{{name}.*") + store.keys(f"{name}:*")
    return topics(), keys


def post(stack: RunningStack, data: InteractionLog) -> Outcome:
    outcome = replay(
        stack.settings, data, api=stack.api, token=stack.admin_token, collection="test", rate=None,
        warehouse=False, timeout=120, progress=lambda _: None, say=lambda _: None,
    )  # fmt: skip
    assert outcome.differences == []
    return outcome


@pytest.fixture
def moving(broker_kind: str, tmp_path: Path) -> Iterator[RunningStack]:
    """A stack of its own: the test replaces its processes."""
    port, web_port = free_ports(2)
    base = Settings(port=port, web_port=web_port, snapshot_seconds=2, lake_seconds=1)
    stack = RunningStack(tmp_path / "home", broker_kind, base=base)
    try:
        if (compiling := stack.start_kernels()) is not None:
            assert compiling.wait(600)
        stack.start_servers()
        stack.start_workers()
        stack.wait_ready()
        yield stack
    finally:
        stack.stop()


def beside(stack: RunningStack) -> RunningStack:
    """Return the deployment of the new namespace, on the same servers and in the same home."""
    port, web_port = free_ports(2)
    base = replace(
        stack.settings, namespace="segue2", partitions=8, postgres_schema="segue", port=port,
        web_port=web_port, model=str(stack.home / "model2"),
    )  # fmt: skip
    new = RunningStack(stack.home, "external", ports=stack.ports, base=base)
    new.servers.clear()
    return new


def test_a_log_moves_while_plays_come(moving: RunningStack) -> None:
    old, new = moving, beside(moving)
    plays, feedback = Topics("segue").plays, Topics("segue").feedback
    data = [interactions(2_000, listeners=200, seed=n, prefix=f"m{n}-") for n in range(4)]
    post(old, data[0])
    headers = {"authorization": f"Token {old.token_for('m0-0')}"}
    love = {"kind": "love", "artist": "artist 1", "title": "track 11"}
    assert (
        httpx.post(f"{old.api}/v1/feedback", json=love, headers=headers, timeout=60).status_code
        == 202
    )

    # 1. The first run is killed; the next resumes, and a third has nothing to do.
    arguments = ["repartition", "--namespace", "segue2", "--partitions", "8"]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, "60", *arguments],
        env={**os.environ, **old.settings.environ()}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    before = copied(old.settings, new.settings, Topics("segue2").plays)
    assert 0 < len(before) < 60
    done = repartition(old.settings, "segue2", 8)
    assert done[1].messages == len(places(old.settings, plays)) - len(before)
    assert [each.messages for each in repartition(old.settings, "segue2", 8)] == [0, 0, 0]

    # 2. Plays come, then the workers of the new namespace start beside the old ones.
    post(old, data[1])
    old.stop("eraser")
    repartition(old.settings, "segue2", 8)
    for spec in wanted(os.environ):
        if spec.name not in _BESIDE:
            new.start_worker(spec.name)
    try:
        new.wait_applied(120)

        # 3. The API moves; one of its old processes takes plays a moment longer.
        new.start_worker(API.name)
        new.wait_ready()
        post(new, data[2])
        post(old, data[3])
        old.stop(API.name)
        repartition(old.settings, "segue2", 8)
        with pytest.raises(StoreUnavailable, match=r"workers of segue still run: .*lake-sink"):
            clean(old.settings, "segue2", 8)
        for name in list(old.workers):
            old.stop(name)
        new.start_worker("eraser")
        new.wait_applied(120)

        for topic in (plays, feedback):
            kind = Topics("segue2").of(topic.kind)
            assert copied(old.settings, new.settings, kind) == Counter(places(old.settings, topic))
        _assert_every_play_once(new, data)

        # 4. What the old namespace leaves is deleted; the new one does not notice.
        cleaned = subprocess.run(
            [*python("infra.cli"), *arguments, "--clean"],
            env={**os.environ, **old.settings.environ()},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "deleted 5 topics" in cleaned.stdout, cleaned.stderr
        assert left(old.settings) == ([], [])
        url = f"{new.api}/v1/users/m0-0/recommendations"
        answer = httpx.get(url, headers=headers, timeout=60).json()
        assert answer["stranger"] is False
        assert answer["degraded"] is False
        assert answer["recommendations"]
    finally:
        for name in list(new.workers):
            new.stop(name)


def _assert_every_play_once(stack: RunningStack, data: list[InteractionLog]) -> None:
    """Reconcile every store with the whole new log and all plays that were ever posted."""
    settings = stack.settings
    whole = InteractionLog(
        [user for each in data for user in each.users],
        [item for each in data for item in each.items],
        np.concatenate([each.seconds for each in data]),
        [artist for each in data for artist in each.artists or ()],
        [title for each in data for title in each.titles or ()],
    )
    topic = Topics(settings.namespace).plays
    expected = expected_ids(whole, "test")
    outcome = count(
        settings, whole, "test", Posted(accepted=expected),
        Mark(log_id(settings, topic), [0] * settings.partitions, 0), warehouse=True,
    )  # fmt: skip
    assert outcome.differences == []
    assert outcome.kafka.deliveries == len(whole)
    with connect(settings.postgres_dsn) as connection:
        (plays,) = connection.execute("select sum(plays) from listen_counts").fetchone() or (0,)
        assert plays == len(expected)
        assert connection.execute("select kind from feedback").fetchall() == [("love",)]
    rows = warehouse.query(settings, "select kind from staging.stg_segue__feedback").rows
    assert [str(kind) for (kind,) in rows] == ["love"], "the lake has it of both logs"


@pytest.fixture
def kit(tmp_path: Path, broker: Server, valkey: Valkey, postgres: Postgres) -> Iterator[Kit]:
    dsn = postgres.address
    yield from make_kit(tmp_path, kafka=broker, redis_url=valkey.address, postgres_dsn=dsn)


def _erase(kit: Kit, user: str) -> None:
    """Append an erasure as the eraser does, with a clock that is far behind."""
    erasure = Erasure(listener=listener_key(user), before=0, ends=ends_of_logs(kit.settings))
    key = f"{erasure.listener}:"
    producer = Producer({"bootstrap.servers": kit.settings.kafka})
    topic, partition = Topics(kit.settings.namespace).erasures, partition_of(key, 4)
    producer.produce(topic, encode(erasure), key.encode(), partition)
    assert producer.flush(30) == 0


def test_an_erasure_covers_what_was_copied_before_it(kit: Kit) -> None:
    name = f"{kit.settings.namespace}n"
    target = replace(kit.settings, namespace=name, partitions=8, home=kit.settings.home / "new")
    topics = Topics(name)
    kit.send(*(submission(user, (1, 1)) for user in ("ada", "bob", "eve")))
    _erase(kit, "ada")  # before any copy
    first = {each.topic: each for each in repartition(kit.settings, name, 8)}
    assert (first[topics.plays].messages, first[topics.plays].left_out) == (2, 1)
    _erase(kit, "bob")  # the new log has a copy
    kit.send(submission("bob", (2, 2)))  # bob returns
    second = {each.topic: each for each in repartition(kit.settings, name, 8)}
    assert second[topics.plays].messages == second[topics.erasures].messages == 1

    new = Kit(target, log_ids=ensure_topics(target, topics.configs()))
    try:
        new.start("listeners")
        new.wait_applied("listeners")
        new.sent = [submission("eve", (1, 1)), submission("bob", (2, 2))]
        new.assert_features_exact()
        assert new.redis.get(new.keys.listener("ada")) is None
    finally:
        new.close()


def report(settings: Settings, worker: str, *, at_ms: int, behind: int = 0) -> None:
    """Write a heartbeat of a worker that lacks so many messages of each topic."""
    offsets = {
        topic.place(partition): max(0, end - behind)
        for topic in BY_NAME[worker].topics(Topics(settings.namespace))
        for partition, end in enumerate(end_offsets(settings, topic))
    }
    beat = Heartbeat(name=worker, pid=1, at=at_ms, state="running", offsets=offsets)
    with feature_store(settings) as store:
        key = Keys(settings.namespace, settings.partitions).workers
        store.hset(key, worker, heartbeat.encode(beat))


def test_nothing_is_deleted_before_everything_has_moved(kit: Kit) -> None:
    old, name, long_ago = kit.settings, f"{kit.settings.namespace}n", 1
    new = replace(old, namespace=name, partitions=8)
    kit.send(submission("ada", (1, 1)))
    topics = Topics(old.namespace)
    producer = Producer({"bootstrap.servers": old.kafka})
    producer.produce(topics.impressions, b"{}", b"ada", 0)
    assert producer.flush(30) == 0
    with feature_store(old) as store:
        for n in range(2_500):  # more than one command deletes
            store.set(kit.keys.listener(f"user {n}"), b"blob")
        store.set(Keys(name, 8).listener("ada"), b"new blob")

    def refused(message: str) -> None:
        with pytest.raises(StoreUnavailable, match=message):
            clean(old, name, 8)
        assert kit.redis.get(kit.keys.listener("user 7")) == b"blob"
        assert end_offsets(old, topics.plays) == [1, 0, 0, 0]

    report(old, "lake-sink", at_ms=int(time.time() * 1000), behind=1)
    refused(r"still run: lake-sink; stop them")
    report(old, "lake-sink", at_ms=long_ago, behind=1)
    refused(r"1 messages of .* were not copied before: end every API process")
    refused(rf"workers of {old.namespace} have not .*: lake-sink 1 messages; let them")
    report(old, "lake-sink", at_ms=long_ago)
    refused(rf"workers of {name} have not .*: listeners has not reported, learner has not")
    for worker in CORE_FOLDS:
        report(new, worker, at_ms=long_ago)
    report(new, "learner", at_ms=int(time.time() * 1000), behind=1)
    refused(rf"workers of {name} have not .*: learner 1 messages")
    report(new, "learner", at_ms=int(time.time() * 1000))

    done = clean(old, name, 8)
    assert sorted(done.topics) == sorted(topics.configs())
    assert done.keys == 2_501, "the heartbeats are one of them"
    assert left(old) == ([], [])
    assert kit.redis.get(Keys(name, 8).listener("ada")) == b"new blob"
    assert sum(end_offsets(new, Topics(name).plays)) == 1


def test_suspects_and_releases_move(kit: Kit) -> None:
    old = replace(kit.settings, flink="http://127.0.0.1:9")
    new = replace(old, namespace=f"{old.namespace}n", partitions=8)
    ensure_topics(old, Topics(old.namespace).configs(flink=True))
    now = int(time.time() * 1000)
    producer = Producer({"bootstrap.servers": old.kafka})
    for partition, user in enumerate(("ada", "bob", "eve")):
        found = Suspect(user_id=user, pattern="too-fast", started_at=1, ended_at=now, plays=6)
        topic = Topics(old.namespace).of(Kind.SUSPECTS)
        producer.produce(topic, suspects.encode(found), suspects.message_key(found), partition)
    assert producer.flush(30) == 0
    operations.release(old, "ada")
    repartition(old, new.namespace, 8)
    assert list(operations.read(new)) == ["bob", "eve"]
    operations.release(old, "eve")  # by an old API process
    done = repartition(old, new.namespace, 8)
    assert [each.messages for each in done] == [0, 0, 0, 1]
    assert list(operations.read(new)) == ["bob"]


def test_init_leaves_the_tables_in_their_schema(kit: Kit) -> None:
    settings = replace(kit.settings, postgres_schema="segue")
    prepared = subprocess.run(
        [*python("infra.cli"), "init"], env={**os.environ, **settings.environ()},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "schema segue: up to date" in prepared.stdout, prepared.stderr
    with psycopg.connect(settings.postgres_dsn) as connection:
        name = (settings.namespace,)
        assert not connection.execute(
            "select from pg_namespace where nspname = %s", name
        ).fetchall()


def test_init_by_a_login_without_rights_says_what_to_do(kit: Kit, postgres: Postgres) -> None:
    login = postgres.address_of(SINK)
    for schema, said in (
        ("absent", "a superuser must run: create schema"),
        ("segue", "permission denied for schema segue; grant the right with segue init"),
    ):
        settings = replace(kit.settings, postgres_schema=schema, postgres_dsn=login)
        refused = subprocess.run(
            [*python("infra.cli"), "init"], env={**os.environ, **settings.environ()},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        (line,) = [line for line in refused.stderr.splitlines() if line.startswith("segue:")]
        assert said in line
        assert "login segue_sink at 127.0.0.1:" in line
        assert "Traceback" not in refused.stderr
        assert refused.returncode == 1


def test_what_stands_in_the_way_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, name = kit.settings, f"{kit.settings.namespace}n"
    with pytest.raises(ConfigurationError, match=r"no topic absent\.plays, .*SEGUE_NAMESPACE"):
        repartition(replace(settings, namespace="absent"), name, 8)
    kit.send((0, b"not a play"))
    kit.start("listeners")
    kit.wait_applied("listeners")
    with pytest.raises(ConfigurationError, match=r"1 dead letters .* --leave-dead-letters"):
        repartition(settings, name, 8)
    repartition(settings, name, 8, leave_dead_letters=True)
    with pytest.raises(ConfigurationError, match="has 8 partitions, --partitions is 12"):
        repartition(settings, name, 12, leave_dead_letters=True)
    with pytest.raises(ConfigurationError, match="SEGUE_PARTITIONS is 2"):
        repartition(replace(settings, partitions=2), name, 8, leave_dead_letters=True)
    target = replace(settings, namespace=name, partitions=8)
    Kit(target).send(submission("ada", (1, 1)))
    with pytest.raises(ConfigurationError, match="holds messages that no `segue repartition`"):
        repartition(settings, name, 8, leave_dead_letters=True)
    monkeypatch.setattr(pause, "_PATIENCE", 0.5)
    with psycopg.connect(settings.postgres_dsn) as holding:
        holding.execute(f"select pg_advisory_xact_lock({LOCK_KEY})".encode())
        with pytest.raises(StoreUnavailable, match="the eraser or another"):
            repartition(settings, f"{name}m", 8, leave_dead_letters=True)
    with psycopg.connect(settings.postgres_dsn) as connection:
        connection.execute(
            "insert into erasures (user_id, subject, state, waiting_for)"
            " values ('repartitioned', 'x', 'running', 'a worker')"
        )
    try:
        with pytest.raises(StoreUnavailable, match=r"not finished .it waits for: a worker."):
            repartition(settings, f"{name}m", 8, leave_dead_letters=True)
    finally:
        with psycopg.connect(settings.postgres_dsn) as connection:
            connection.execute("delete from erasures where user_id = 'repartitioned'")
