"""A trending list from its topic to the API: results sink, Redis, tags of the catalogue."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from confluent_kafka import Producer

from contracts.ids import artist_id
from contracts.kafka import ensure_topics
from contracts.results import Place, Trending
from contracts.suspects import Suspect, encode, message_key
from contracts.topics import Kind, Topics
from contracts.workers import API, RESULTS_SINK
from infra.stack.ports import free_ports
from infra.stack.process import Process, wait_until
from infra.stack.stack import worker_command
from tests.integration.conftest import RunningStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
NOWHERE = "http://127.0.0.1:9"
ARTISTS = ("Flink Jazz Trio", "Flink Rockers")


def trending(window_end: int, *names: str) -> Trending:
    """Return a list of the last 24 hours with these artists in this order."""
    places = [
        Place(
            place=number, id=f"track-{name}", artist=name, title="song", listeners=9 - number,
            plays=20, weight=10 - number,
        )
        for number, name in enumerate(names, 1)
    ]  # fmt: skip
    return Trending(
        kind="tracks", window="24h", window_start=0, window_end=window_end, places=places[::-1]
    )


def publish(stack: RunningStack, *lists: Trending) -> None:
    """Append lists to the topic, as the job does."""
    topic = Topics(stack.settings.namespace).of(Kind.TRENDING)
    producer = Producer({"bootstrap.servers": stack.settings.kafka})
    for each in lists:
        producer.produce(topic, msgspec.json.encode(each), f"{each.kind}:{each.window}".encode())
    assert producer.flush(20) == 0


@pytest.fixture(scope="module")
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    """An API and a results sink of a deployment that runs Flink (elsewhere, and down)."""
    settings = stack.settings
    ensure_topics(settings, Topics(settings.namespace).configs(flink=True))
    port = free_ports(1)[0]
    environ = {
        **os.environ, **settings.environ(), "SEGUE_PORT": str(port), "SEGUE_FLINK": NOWHERE,
    }  # fmt: skip
    processes = [
        Process(name, worker_command(name), stack.home / "logs" / f"flink-{name}.log", env=environ)
        for name in (API.name, RESULTS_SINK.name)
    ]
    for process in processes:
        process.start()
    base = f"http://127.0.0.1:{port}"
    try:

        def ready() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(f"{base}/readyz", timeout=60).status_code == 200
            return False

        assert wait_until(ready, 180)
        token = {"Authorization": f"Token {stack.admin_token}"}
        with httpx.Client(base_url=base, headers=token, timeout=60) as client:
            yield client
    finally:
        for process in processes:
            process.stop()


def names(client: httpx.Client, **query: Any) -> list[str]:
    answer = client.get("/v1/trending", params=query)
    assert answer.status_code == 200, answer.text
    return [track["artist"] for track in answer.json()["tracks"]]


def test_the_newest_window_is_served_and_repeats_change_nothing(
    stack: RunningStack, api: httpx.Client
) -> None:
    newest, older = trending(2000, *ARTISTS), trending(1000, *ARTISTS[::-1])
    publish(stack, older, newest, older)
    assert wait_until(lambda: api.get("/v1/trending").json()["source"] == "flink", 90)
    assert wait_until(lambda: api.get("/v1/trending").json()["window_end"] == 2000, 90)
    publish(stack, older, trending(500, "nobody"))
    publish(stack, newest)
    assert names(api) == list(ARTISTS)
    assert names(api, limit=1) == [ARTISTS[0]]
    first = api.get("/v1/trending").json()["tracks"][0]
    assert (first["score"], first["listeners"], first["plays"]) == (9.0, 8, 20)
    # A window that has not been counted yet is answered by the model, with `source` "model".
    assert api.get("/v1/trending", params={"window": "7d"}).json()["source"] == "model"
    assert api.get("/v1/trending", params={"window": "2h"}).status_code == 400


def test_a_list_by_tag_has_the_bearers_of_the_tag(stack: RunningStack, api: httpx.Client) -> None:
    publish(stack, trending(2000, *ARTISTS))
    assert wait_until(lambda: names(api) == list(ARTISTS), 90)
    with psycopg.connect(stack.settings.postgres_dsn, autocommit=True) as db:
        db.execute(
            "insert into catalogue_artists (artist_id, name, name_key, search_text) "
            "values (%s, %s, %s, %s) on conflict do nothing",
            (artist_id(ARTISTS[0]), ARTISTS[0], ARTISTS[0].lower(), ARTISTS[0].lower()),
        )
        db.execute(
            "insert into staged_tags (source, kind, source_key, tag, weight, observed_at) "
            "values ('simulated', 'artist', 'flink', 'jazz', 1.0, now()) on conflict do nothing"
        )
        db.execute(
            "insert into catalogue_links values ('artist', 'simulated', 'flink', %s) "
            "on conflict do nothing",
            (artist_id(ARTISTS[0]),),
        )
        db.execute("refresh materialized view catalogue_artist_tags")
    assert names(api, tag="Jazz") == [ARTISTS[0]]
    assert names(api, tag="polka") == []


def test_an_operator_sees_suspects_and_releases_them(
    stack: RunningStack, api: httpx.Client
) -> None:
    now = int(time.time() * 1000)
    found = Suspect(user_id="a bot/1", pattern="too-fast", started_at=1, ended_at=now, plays=6)
    producer = Producer({"bootstrap.servers": stack.settings.kafka})
    topic = Topics(stack.settings.namespace).of(Kind.SUSPECTS)
    producer.produce(topic, encode(found), message_key(found))
    assert producer.flush(20) == 0

    (seen,) = api.get("/v1/suspects").json()["suspects"]
    assert seen["user"] == "a bot/1"
    assert [(f["pattern"], f["plays"]) for f in seen["findings"]] == [("too-fast", 6)]
    assert api.post("/v1/suspects/nobody/release").status_code == 404
    assert api.post("/v1/suspects/a%20bot%2F1/release").status_code == 202
    assert api.get("/v1/suspects").json() == {"suspects": []}
    (row,) = api.get("/v1/audit", params={"action": "suspect.release"}).json()["rows"]
    assert (row["actor"], row["outcome"]) == ("admin", "done")


def test_where_flink_does_not_run_nobody_looks_for_suspects(stack: RunningStack) -> None:
    token = {"Authorization": f"Token {stack.admin_token}"}
    answer = httpx.get(f"{stack.api}/v1/suspects", headers=token, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no-flink")


def test_flink_that_is_down_is_shown_but_the_api_is_ready(api: httpx.Client) -> None:
    answer = api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["dependencies"]["flink"] != "ok"
    assert "segue_flink_running 0.0" in api.get("/metrics").text


def test_without_flink_the_model_answers(stack: RunningStack) -> None:
    token = {"Authorization": f"Token {stack.admin_token}"}
    with httpx.Client(base_url=stack.api, headers=token, timeout=60) as client:
        for kind in ("tracks", "artists"):
            answer = client.get("/v1/trending", params={"kind": kind, "window": "7d"}).json()
            assert (answer["source"], answer["kind"], answer["window"]) == ("model", kind, "7d")
