"""Pauses, a broker that goes and comes back, joins and leaves, an emptied store: all under load.

Real signals to real processes on Apache Kafka; after each, every store is compared with what the
API accepted (:func:`infra.operations.replay.run.replay`).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from contracts.features import Keys
from contracts.ids import event_id
from contracts.kafka import end_offsets
from contracts.topics import Topics
from contracts.workers import CORE_FOLDS, LEARNER, LISTENERS
from infra.operations import hosts
from infra.operations.erasure.run import run_pending
from infra.operations.replay.reconcile import Mark
from infra.operations.replay.reconcile import kafka as reconcile_kafka
from infra.operations.replay.run import Outcome, replay
from infra.stack.process import Process, wait_until
from infra.stack.stack import worker_command
from streams.app import SESSION_SECONDS
from tests.integration.conftest import RunningStack
from tests.integration.traces import stores, traces
from tests.plays import interactions

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.slow]

PLAYS = 6_000


@contextmanager
def under_load(stack: RunningStack, prefix: str, rate: float) -> Iterator[Future[Outcome]]:
    """Post plays meanwhile; afterwards every store must hold what was accepted, once."""
    posted: list[int] = []

    def run() -> Outcome:
        return replay(
            stack.settings,
            interactions(PLAYS, seed=len(prefix), prefix=prefix),
            api=stack.api,
            token=stack.admin_token,
            collection="chaos",
            rate=rate,
            warehouse=False,
            timeout=180,
            progress=posted.append,
            say=lambda _: None,
        )

    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(run)
        assert wait_until(lambda: sum(posted) > 0 or outcome.done(), 90)
        yield outcome
        result = outcome.result()
    assert result.differences == []
    assert result.accepted == result.distinct > 0.98 * PLAYS


def one_play(stack: RunningStack) -> httpx.Response:
    headers = {"authorization": f"Bearer {stack.admin_token}"}
    play = {"artist": "Air", "title": "Sexy Boy", "played_at": int(time.time() * 1000) - 60_000}
    return httpx.post(f"{stack.api}/v1/plays", headers=headers, json={"plays": [play]}, timeout=60)


def scrobble(stack: RunningStack) -> Any:
    fields = {"artist": "Air", "track": "Sexy Boy", "timestamp": str(int(time.time()) - 60)}
    asked = {"method": "track.scrobble", "format": "json", "sk": stack.admin_token, **fields}
    return httpx.post(f"{stack.api}/2.0/", data=asked, timeout=60).json()


@pytest.mark.timeout(600)
def test_workers_paused_beyond_their_session_neither_lose_nor_double(
    kafka_stack: RunningStack,
) -> None:
    """A zombie: the group gave its partitions away, and then it continues where it was."""
    with under_load(kafka_stack, "pause-", rate=250):
        for worker in CORE_FOLDS:
            kafka_stack.workers[worker].send(signal.SIGSTOP)
        time.sleep(1.5 * SESSION_SECONDS)
        for worker in CORE_FOLDS:
            kafka_stack.workers[worker].send(signal.SIGCONT)


@pytest.mark.timeout(600)
def test_a_broker_that_is_killed_and_comes_back_costs_no_acknowledged_play(
    kafka_stack: RunningStack,
) -> None:
    with under_load(kafka_stack, "broker-", rate=400):
        kafka_stack.kill("kafka")
        try:
            assert one_play(kafka_stack).status_code == 503
            assert scrobble(kafka_stack)["error"] == 16
        finally:
            kafka_stack.start("kafka")
    assert wait_until(lambda: one_play(kafka_stack).status_code == 202, 90)


@pytest.mark.timeout(600)
def test_a_broker_that_does_not_answer_is_shed_while_health_is_answered(
    kafka_stack: RunningStack,
) -> None:
    """Paused, not dead: connections stay open, and nothing comes back."""
    broker = kafka_stack.servers["kafka"].process
    api = psutil.Process(kafka_stack.workers["api"].pid)
    assert broker is not None
    before = api.memory_info().rss
    broker.send(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(20) as pool:
            posts = [pool.submit(one_play, kafka_stack) for _ in range(60)]
            assert httpx.get(f"{kafka_stack.api}/healthz", timeout=60).status_code == 200
            answers = [post.result().status_code for post in posts]
    finally:
        broker.send(signal.SIGCONT)
    assert set(answers) == {503}
    assert api.memory_info().rss - before < 100 * 1024 * 1024
    assert wait_until(lambda: one_play(kafka_stack).status_code == 202, 90)


@pytest.mark.timeout(600)
def test_sigterm_makes_the_api_unready_before_it_closes_the_door(
    kafka_stack: RunningStack,
) -> None:
    with under_load(kafka_stack, "sigterm", rate=1_000):
        api = kafka_stack.workers["api"]
        api.send(signal.SIGTERM)
        try:
            with httpx.Client(base_url=kafka_stack.api, timeout=60) as client:
                assert wait_until(
                    lambda: client.get("/readyz?scope=api").status_code == 503, 4, 0.01
                )
                assert client.get("/readyz?scope=api").json()["stopping"]
            assert one_play(kafka_stack).status_code == 202, "a load balancer takes time to notice"
            assert api.wait(30)
            assert api.exit_code == 0, api.tail(20)
        finally:  # without an API the posts of `under_load` would retry for minutes
            api.stop()
            kafka_stack.start("api")


@pytest.mark.timeout(600)
def test_listeners_join_and_leave_every_few_seconds(kafka_stack: RunningStack) -> None:
    settings = replace(kafka_stack.settings, host_name="other")
    with under_load(kafka_stack, "join-", rate=250):
        for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            log = kafka_stack.settings.paths.log("other")
            other = Process(
                "other", worker_command(LISTENERS.name), log, env=kafka_stack_env(settings)
            )
            other.start()
            assert wait_until(lambda: "assigned" in other.tail(50), 90), other.tail(20)  # noqa: B023
            time.sleep(1)
            code = other.stop(end, 30)
            assert code == (0 if end == signal.SIGTERM else -signal.SIGKILL), other.tail(20)
    # An erasure waits for a host until its heartbeat is old: this one does not come back.
    with redis.Redis.from_url(settings.redis_url) as client:
        workers = Keys(settings.namespace, settings.partitions).workers
        assert client.hdel(workers, f"{LISTENERS.name}@other") == 1


def kafka_stack_env(settings: Any) -> dict[str, str]:
    """Return the environment of a worker with these settings."""
    return {**os.environ, **settings.environ()}


@pytest.mark.timeout(600)
def test_an_emptied_store_degrades_and_is_folded_again(kafka_stack: RunningStack) -> None:
    """FLUSHALL in mid-traffic: lists say so, call nobody a stranger, and all comes back."""
    assert one_play(kafka_stack).status_code == 202
    kafka_stack.wait_applied()
    path = f"{kafka_stack.api}/v1/users/admin/recommendations"
    headers = {"authorization": f"Bearer {kafka_stack.admin_token}"}
    lists: list[dict[str, Any]] = []

    def ask() -> dict[str, Any]:
        answer = httpx.get(path, headers=headers, timeout=60)
        assert answer.status_code == 200
        lists.append(answer.json())
        return lists[-1]

    assert wait_until(lambda: not ask()["stranger"], 90)
    lists.clear()
    with under_load(kafka_stack, "flush-", rate=250):
        with redis.Redis.from_url(kafka_stack.settings.redis_url) as client:
            client.flushall()
        worker = kafka_stack.workers[LISTENERS.name]
        try:
            while worker.pid is not None:
                ask()
                time.sleep(0.05)
            assert worker.exit_code == 3
        finally:
            worker.stop()
            kafka_stack.start(LISTENERS.name)
        assert wait_until(lambda: not ask()["degraded"], 90)
    assert any(shown["degraded"] for shown in lists)
    assert not any(shown["stranger"] and not shown["degraded"] for shown in lists)


@contextmanager
def paused_learner(stack: RunningStack, model: Path, host: str) -> Iterator[None]:
    """Run a learner on another host, with its own model, and pause it until the block ends."""
    settings = replace(stack.settings, host_name=host, model=str(model))
    log = stack.settings.paths.log(host)
    learner = Process(host, worker_command(LEARNER.name), log, env=kafka_stack_env(settings))
    learner.start()
    try:
        assert wait_until(lambda: state_of(stack, host) == ["running"], 120), learner.tail(20)
        learner.send(signal.SIGSTOP)
        yield
    finally:
        learner.stop(signal.SIGKILL)


def state_of(stack: RunningStack, host: str) -> list[str]:
    """Return the states of the processes of a host."""
    return [each.state for each in hosts.processes(stack.settings) if each.host == host]


@pytest.mark.timeout(600)
def test_an_erased_listener_is_in_no_store_though_the_log_keeps_the_plays(
    kafka_stack: RunningStack, tmp_path: Path
) -> None:
    """The erasure waits for a learner that is paused until an operator forgets its host."""
    user, topic = "Erased-on-Kafka", Topics(kafka_stack.settings.namespace).plays
    headers = {"authorization": f"Bearer {kafka_stack.token_for(user)}"}
    now = int(time.time() * 1000)
    times = [now - 300_000 * i for i in range(12)]
    plays = [{"artist": "Air", "title": "Sexy Boy", "played_at": at} for at in times]
    with httpx.Client(base_url=kafka_stack.api, headers=headers, timeout=60) as client:
        assert client.post("/v1/plays", json={"plays": plays}).status_code == 202
        kafka_stack.wait_applied(90)
        found = stores(traces(kafka_stack.settings, user))
        assert found >= {"valkey", "postgres", "lake", "model"}
        with paused_learner(kafka_stack, tmp_path, "away"):
            place = client.delete(f"/v1/users/{user}").headers["location"]
            assert run_pending(kafka_stack.settings, patience=1, settle=0) == (1, 0)
            assert "learner@away" in client.get(place).json()["waiting_for"]
            assert wait_until(lambda: state_of(kafka_stack, "away") == ["silent"], 90)
            assert run_pending(kafka_stack.settings, patience=1, settle=0) == (1, 0)
            assert "segue hosts forget" in client.get(place).json()["waiting_for"]
            assert hosts.forget(kafka_stack.settings, "away") == [LEARNER.name]
            assert run_pending(kafka_stack.settings, settle=0) == (1, 1)
    status = httpx.get(f"{kafka_stack.api}{place}", timeout=60).json()
    assert status["state"] == "done"
    assert status["steps"]["postgres"]["plays"] == status["steps"]["lake"]["plays"] == 12
    assert traces(kafka_stack.settings, user) == set()
    # Kafka cannot delete one listener's messages: every fold leaves them out instead (ADR 15).
    start = Mark("", [0] * 4, 0)
    ends = end_offsets(kafka_stack.settings, topic)
    _, in_the_log = reconcile_kafka(kafka_stack.settings, start, ends)
    assert {event_id(user, at, "Air", "Sexy Boy") for at in times} <= in_the_log
    # A fold from nothing counts fewer plays than before: here, not in a test that compares counts.
    with redis.Redis.from_url(kafka_stack.settings.redis_url) as client:
        client.flushall()
    assert wait_until(lambda: kafka_stack.workers[LISTENERS.name].pid is None, 90)
    kafka_stack.start(LISTENERS.name)
    kafka_stack.wait_applied(90)
    assert traces(kafka_stack.settings, user) == set()
