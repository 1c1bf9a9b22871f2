"""Ingest against a real broker, Valkey and PostgreSQL, through a real server process."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from contracts.events import decode_submission
from contracts.ids import event_id, partition_of
from contracts.kafka import end_offsets
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.ports import free_ports
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def api(broker_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Servers and the API alone: what these tests stop is nobody else's."""
    running = RunningStack(
        tmp_path_factory.mktemp("api"), broker_kind, base=Settings(port=free_ports(1)[0])
    )
    try:
        running.start_servers()
        running.start_worker("api")
        assert wait_until(lambda: serving(running), 90)
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def restarted(api: RunningStack) -> Iterator[None]:
    """Start the API again if a test failed while it was down."""
    yield
    if api.workers["api"].pid is None:
        api.start("api")
        assert wait_until(lambda: serving(api), 90)


def serving(stack: RunningStack) -> bool:
    """Whether the API can take traffic."""
    try:
        return httpx.get(f"{stack.api}/readyz?scope=api", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def plays(n: int, start: int | None = None, **fields: Any) -> list[dict[str, Any]]:
    """Return plays of distinct tracks."""
    now = int(time.time() * 1000) if start is None else start
    return [
        {"artist": "Air", "title": f"Track {i}", "played_at": now - 1000 * i, **fields}
        for i in range(n)
    ]


def post(stack: RunningStack, token: str, body: list[dict[str, Any]]) -> httpx.Response:
    """Post plays."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{stack.api}/v1/plays", headers=headers, json={"plays": body}, timeout=60)


def messages(stack: RunningStack, topic: str) -> list[tuple[int, bytes, bytes]]:
    """Return ``(partition, key, value)`` of every message in a topic now."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.settings.kafka,
            "group.id": "test",
            "enable.auto.commit": False,
        }
    )
    found: list[tuple[int, bytes, bytes]] = []
    try:
        for partition, end in enumerate(end_offsets(stack.settings, topic)):
            consumer.assign([TopicPartition(topic, partition, 0)])
            reached = 0
            while reached < end:
                for message in consumer.consume(1000, 1.0):
                    if message.error() is None:
                        reached = (message.offset() or 0) + 1
                        found.append((partition, message.key() or b"", message.value() or b""))
    finally:
        consumer.close()
    return found


def logged(stack: RunningStack, topic: str) -> list[bytes]:
    """Return every value in a topic now, partition by partition."""
    return [value for _, _, value in messages(stack, topic)]


def plays_topic(stack: RunningStack) -> str:
    """Return the topic of plays."""
    return Topics(stack.settings.namespace).plays


def ids_in_log(stack: RunningStack) -> set[str]:
    """Return the event ids of every play in the log."""
    values = logged(stack, plays_topic(stack))
    return {play.event_id for value in values for play in decode_submission(value).plays}


def test_202_means_durable_even_when_the_api_is_killed_at_once(api: RunningStack) -> None:
    token = api.token_for("ada")
    answer = post(api, token, plays(1000))
    api.kill("api")
    assert answer.status_code == 202
    accepted = {result["event_id"] for result in answer.json()["results"]}
    assert len(accepted) == 1000
    assert accepted <= ids_in_log(api)
    api.start("api")
    assert wait_until(lambda: serving(api), 90)


def test_plays_lie_in_the_listeners_partition_in_submissions(api: RunningStack) -> None:
    token = api.token_for("player", ("client",))
    body = plays(250, user="grace") + plays(3, user="bob")
    assert post(api, token, body).json()["accepted"] == 253
    found = [decode_submission(value) for value in logged(api, plays_topic(api))]
    sizes = sorted(len(s.plays) for s in found if s.user_id in ("grace", "bob"))
    assert sizes == [3, 50, 200]


def test_the_same_play_has_the_same_id_whoever_sends_it(api: RunningStack) -> None:
    token = api.token_for("hedy")
    now = int(time.time())
    answer = post(api, token, plays(1, start=now * 1000))
    listen = {"artist_name": "AIR", "track_name": "track 0"}
    body = {
        "listen_type": "import",
        "payload": [{"listened_at": now, "track_metadata": listen}] * 3,
    }
    reply = httpx.post(
        f"{api.api}/1/submit-listens",
        headers={"authorization": f"Token {token}"},
        content=json.dumps(body),
        timeout=60,
    )
    assert reply.json() == {"status": "ok"}
    assert answer.json()["results"][0]["event_id"] == event_id("hedy", now * 1000, "Air", "Track 0")
    mine = [
        play.event_id
        for value in logged(api, plays_topic(api))
        if (submission := decode_submission(value)).user_id == "hedy"
        for play in submission.plays
    ]
    assert (len(mine), len(set(mine))) == (4, 1)


def test_refused_plays_become_dead_letters(api: RunningStack) -> None:
    token = api.token_for("ada")
    bad = {"artist": "Air", "title": "too early", "played_at": 7}
    assert post(api, token, [bad]).status_code == 400
    letters = logged(api, Topics(api.settings.namespace).dead_letters)
    assert any(json.loads(letter)["reason"] == "too-old" for letter in letters)


def test_broker_down_is_a_503_and_it_recovers_without_a_restart(api: RunningStack) -> None:
    token = api.token_for("ada")
    assert post(api, token, plays(1)).status_code == 202
    broker = next(iter(api.servers))
    api.kill(broker)
    try:
        started = time.monotonic()
        answer = post(api, token, plays(1))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - started < 30
        with httpx.Client(base_url=api.api, timeout=2) as client:
            # Nothing the broker does may hold up the health check: 2 s is far below its timeouts.
            assert all(client.get("/healthz").is_success for _ in range(20))
    finally:
        api.start(broker)
    mine = plays(5)
    assert wait_until(lambda: post(api, token, mine).status_code == 202, 90)
    expected = {event_id("ada", p["played_at"], p["artist"], p["title"]) for p in mine}
    assert expected <= ids_in_log(api)


def test_a_revoked_token_is_refused_within_seconds(api: RunningStack) -> None:
    token = api.token_for("mallory")
    assert post(api, token, plays(1)).status_code == 202
    with psycopg.connect(api.settings.postgres_dsn) as connection:
        connection.execute("update tokens set revoked_at = now() where user_id = 'mallory'")
    assert wait_until(lambda: post(api, token, plays(1)).status_code == 401, 90)


def test_a_token_is_refused_once_it_expires_and_not_before(api: RunningStack) -> None:
    token = api.token_for("trent")
    assert post(api, token, plays(1)).status_code == 202
    with psycopg.connect(api.settings.postgres_dsn) as connection:
        row = connection.execute(
            "update tokens set expires_at = now() + interval '3 seconds' where user_id = 'trent' "
            "returning extract(epoch from expires_at)"
        ).fetchone()
    assert row is not None
    assert wait_until(lambda: post(api, token, plays(1)).status_code == 401, 90)
    assert time.time() >= row[0]


def test_accounts_down_known_tokens_go_on_and_unknown_ones_wait(api: RunningStack) -> None:
    token = api.token_for("ada")
    assert post(api, token, plays(1)).status_code == 202
    api.kill("postgres")
    try:
        time.sleep(2.5)  # past the cache's life
        for _ in range(5):
            assert post(api, token, plays(1)).status_code == 202
        stranger = post(api, "never-seen", plays(1))
        assert (stranger.status_code, stranger.headers["retry-after"]) == (503, "2")
        assert httpx.get(f"{api.api}/readyz?scope=api", timeout=60).status_code == 503
    finally:
        api.start("postgres")
    assert wait_until(lambda: post(api, "never-seen", plays(1)).status_code == 401, 90)


def test_sigterm_finishes_what_was_accepted(api: RunningStack) -> None:
    token = api.token_for("ada")
    accepted: set[str] = set()
    refused: list[str] = []
    stop = threading.Event()

    def pump(lane: int) -> None:
        number = 0
        with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
            while not stop.is_set():
                number += 1
                body = plays(20, source=f"lane{lane}")
                for play in body:
                    play["title"] += f" {lane}.{number}"
                try:
                    answer = client.post(f"{api.api}/v1/plays", json={"plays": body})
                except httpx.TransportError:
                    return
                if answer.status_code == 202:
                    accepted.update(r["event_id"] for r in answer.json()["results"])
                else:
                    refused.append(answer.text)

    threads = [threading.Thread(target=pump, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: len(accepted) > 100, 90)  # in the midst of it
    worker = api.workers["api"]
    worker.stop(signal.SIGTERM)
    stop.set()
    for thread in threads:
        thread.join()
    assert worker.exit_code == 0
    assert not refused
    assert accepted <= ids_in_log(api)
    api.start("api")
    assert wait_until(lambda: serving(api), 90)


def test_the_partition_is_the_contracts(api: RunningStack) -> None:
    token = api.token_for("player", ("client",))
    users = [f"listener {i}" for i in range(20)]
    assert post(api, token, [plays(1, user=user)[0] for user in users]).status_code == 202
    found = {key.decode(): partition for partition, key, _ in messages(api, plays_topic(api))}
    for user in users:
        assert found[user] == partition_of(user, api.settings.partitions)
