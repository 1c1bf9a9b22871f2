"""A listener leaves: no store knows them, and folding the log again brings nobody back."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
import redis
import typer
from confluent_kafka import Producer
from typer.testing import CliRunner

from batch import warehouse
from batch.lake import Lake
from batch.night_lock import alone_tonight
from contracts.accounts import consent, token_hash
from contracts.dead_letters import read
from contracts.events import Feedback, Submission, encode
from contracts.features import Keys
from contracts.ids import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from infra.cli.commands.erase import erase
from infra.operations.audit import trail
from infra.operations.erasure import history, run
from infra.operations.erasure.run import run_pending
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack
from tests.integration.traces import stores, traces
from tests.streams.plays import START, submission

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

LEAVING, STAYING = "Vittoria O'Erasable", "bystander-of-the-erasure"


def headers(token: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"authorization": f"Token {token}"}


def listen(stack: RunningStack, token: str, user: str) -> None:
    """Leave traces in every store that takes some."""
    now = int(time.time())
    with httpx.Client(base_url=stack.api, headers=headers(token), timeout=60) as client:
        plays = [
            {"artist": f"Artist {i % 4}", "title": f"{i % 9}", "played_at": (now - 300 * i) * 1000}
            for i in range(40)
        ]
        assert client.post("/v1/plays", json={"plays": plays}).status_code == 202
        bad = {"plays": [{"artist": "Too", "title": "early", "played_at": 7}]}
        assert client.post("/v1/plays", json=bad).status_code == 400
        playing = {"artist_name": "Artist 1", "track_name": "2", "additional_info": {"by": user}}
        body = {"listen_type": "playing_now", "payload": [{"track_metadata": playing}]}
        assert client.post("/1/submit-listens", json=body).status_code == 200
        assert client.post("/1/latest-import", json={"ts": now}).status_code == 200
        hate = {"kind": "hate", "artist": "Artist 1", "title": "5"}
        assert client.post("/v1/feedback", json=hate).status_code == 202


@pytest.fixture(scope="module")
def tokens(stack: RunningStack) -> Iterator[dict[str, str]]:
    """Two listeners with the same traces everywhere, the warehouse built from them."""
    made = {user: stack.token_for(user) for user in (LEAVING, STAYING)}
    for user, token in made.items():
        listen(stack, token, user)
        waiting = f"{stack.settings.namespace}:lastfm-token:{user.encode().hex()[:8]}"
        with redis.Redis.from_url(stack.settings.redis_url) as client:
            client.set(waiting, consent(token_hash(token), user), ex=600)
    stack.wait_applied(90)
    for user, token in made.items():
        url = f"{stack.api}/v1/users/{user}/recommendations"
        assert httpx.get(url, headers=headers(token), timeout=60).json()["stranger"] is False
    build(stack)
    yield made
    stack.settings.paths.warehouse_file.unlink()  # not dbt's: nobody else shall build upon it


def build(stack: RunningStack) -> None:
    """Make a fact table and a history as dbt would: those of the real project cost a minute."""
    settings = stack.settings
    settings.paths.warehouse_file.unlink(missing_ok=True)  # of another test's replay
    warehouse.land(settings, {name: lake.snapshot() for name, lake in Lake.all(settings).items()})
    with warehouse.connect(settings, read_only=False) as connection:
        for statement in (
            "create schema marts",
            "create schema snapshots",
            "create table marts.fct_plays as select * from raw.plays",
            "create table marts.dim_tracks as select track_id, count(*) as plays from raw.plays"
            " group by track_id",
            "create table snapshots.snap_listeners as select distinct user_id from raw.plays",
        ):
            connection.execute(statement)


@pytest.fixture(scope="module")
def before(stack: RunningStack, tokens: dict[str, str]) -> dict[str, set[str]]:
    """Where both could be found."""
    return {user: traces(stack.settings, user) for user in tokens}


def test_both_can_be_found_in_every_store(before: dict[str, set[str]]) -> None:
    for found in before.values():
        assert stores(found) >= {"valkey", "postgres", "lake", "warehouse", "model"}


def export(stack: RunningStack, token: str, user: str) -> dict[str, str]:
    """Return the members of a listener's export."""
    url = f"{stack.api}/v1/users/{user}/export"
    answer = httpx.get(url, headers=headers(token), timeout=60)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture(scope="module")
def exported(stack: RunningStack, tokens: dict[str, str], before: Any) -> dict[str, str]:
    """The export of the listener who leaves, asked for before that."""
    return export(stack, tokens[LEAVING], LEAVING)


def test_an_export_holds_everything_but_secrets(
    tokens: dict[str, str], exported: dict[str, str]
) -> None:
    members = exported
    lines = {name: text.splitlines() for name, text in members.items()}
    assert len(lines["plays.csv"]) == 41
    plays = [json.loads(line) for line in lines["postgres/plays.jsonl"]]
    assert {play["title"] for play in plays} == {str(i) for i in range(9)}
    assert len(plays) == 40
    assert len(lines["postgres/accounts.jsonl"]) == 1
    assert len(lines["postgres/latest_imports.jsonl"]) == 1
    assert len(lines["lake/feedback.jsonl"]) == 1
    assert lines["lake/impressions.jsonl"]
    features = json.loads(members["features.json"])
    assert len(features["plays"]) == 40
    assert [track["title"] for track in features["hidden"]] == ["5"]
    assert features["playing_now"]["track_name"] == "2"
    assert len(json.loads(members["model.json"])["plays"]) == 40
    assert any('"data.export"' in line for line in lines["audit.jsonl"])
    (token,) = (json.loads(line) for line in lines["postgres/tokens.jsonl"])
    assert token["id"] == token_hash(tokens[LEAVING]).hex()[:12]
    everything = "".join(members.values())
    assert tokens[LEAVING] not in everything
    assert token_hash(tokens[LEAVING]).hex() not in everything
    assert STAYING not in everything


def test_only_the_listener_and_administrators_export_and_erase(
    stack: RunningStack, tokens: dict[str, str], before: Any
) -> None:
    client = stack.token_for("a-player", ("client", "listener"))
    for token in (tokens[STAYING], client):
        for method, path in (("GET", "/export"), ("DELETE", "")):
            url = f"{stack.api}/v1/users/{LEAVING}{path}"
            assert httpx.request(method, url, headers=headers(token), timeout=60).status_code == 403
    assert len(export(stack, stack.admin_token, STAYING)["plays.csv"].splitlines()) == 41


@pytest.fixture(scope="module")
def status(
    stack: RunningStack, tokens: dict[str, str], before: Any, exported: Any
) -> dict[str, Any]:
    """The listener asks to be erased, and what was asked for is done."""
    stack.finish_erasures()
    answer = httpx.delete(
        f"{stack.api}/v1/users/{LEAVING}", headers=headers(tokens[LEAVING]), timeout=60
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/erasures/{answer.json()['id']}"
    url = f"{stack.api}{answer.headers['location']}"
    assert httpx.get(url, timeout=60).json()["state"] == "pending"
    assert run_pending(stack.settings, settle=0) == (1, 1)
    done: dict[str, Any] = httpx.get(url, timeout=60).json()
    return done


def test_nothing_knows_them_any_more(stack: RunningStack, status: dict[str, Any]) -> None:
    assert status["state"] == "done"
    assert traces(stack.settings, LEAVING) == set()


def test_the_record_says_what_was_removed_from_where(status: dict[str, Any]) -> None:
    steps = status["steps"]
    assert LEAVING not in json.dumps(status)
    assert steps["postgres"]["plays"] == 40
    assert steps["postgres"]["accounts"] == 1
    assert steps["redis"] == {"keys": 2, "logins": 1}
    assert steps["lake"]["plays"] == 40
    assert steps["lake"]["feedback"] == 1
    assert steps["lake"]["impressions"] >= 1
    assert steps["warehouse"]["marts.fct_plays"] == 40
    assert steps["model"] == {"models": 1}


def test_the_other_is_untouched(
    stack: RunningStack, tokens: dict[str, str], before: dict[str, set[str]], status: Any
) -> None:
    assert stores(traces(stack.settings, STAYING)) == stores(before[STAYING])
    with httpx.Client(base_url=stack.api, headers=headers(tokens[STAYING]), timeout=60) as client:
        count = client.get(f"/1/user/{STAYING}/listen-count").json()["payload"]["count"]
        assert count == 40
        shown = client.get(f"/v1/users/{STAYING}/recommendations").json()
        assert shown["stranger"] is False
    with warehouse.connect(stack.settings) as connection:  # other tests' plays are in it too
        (kept,) = connection.execute(
            "select count(*) from raw.plays where user_id = ?", [STAYING]
        ).fetchall()
        (versions,) = connection.execute(
            "select count(*) from snapshots.snap_listeners where user_id = ?", [STAYING]
        ).fetchall()
    assert kept == (40,)
    assert versions == (1,)


def test_no_token_works_any_more(stack: RunningStack, tokens: dict[str, str], status: Any) -> None:
    url = f"{stack.api}/v1/users/{LEAVING}/recommendations"
    assert httpx.get(url, headers=headers(tokens[LEAVING]), timeout=60).status_code == 401


def test_folding_the_log_anew_brings_nobody_back(stack: RunningStack, status: Any) -> None:
    keys = Keys(stack.settings.namespace, stack.settings.partitions)
    with redis.Redis.from_url(stack.settings.redis_url) as client:
        client.flushall()
        # The worker notices, ends, and the next one folds the log from its beginning.
        assert wait_until(lambda: stack.workers["listeners"].pid is None, 90)
        stack.start("listeners")
        assert wait_until(lambda: client.exists(keys.listener(STAYING)) == 1, 90)
        stack.wait_applied(90)
        assert client.exists(keys.listener(LEAVING)) == 0


def test_their_dead_letters_are_neither_shown_nor_sent(stack: RunningStack, status: Any) -> None:
    senders = {(letter.content.key or b"").decode() for letter in read(stack.settings)}
    assert STAYING in senders
    assert LEAVING not in senders


def test_the_trail_tells_it_without_a_name(stack: RunningStack, status: dict[str, Any]) -> None:
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        rows = [row for row in trail.rows(connection) if row.action == "data.erase"]
        assert trail.verify(trail.rows(connection)).problems == []
    assert not [row for row in rows if LEAVING in f"{row}"]
    # Other tests on this stack request erasures too.
    assert [row.outcome for row in rows if status["id"] in row.detail] == ["requested", "done"]


def put(stack: RunningStack, topic: str, message: Submission | Feedback) -> None:
    """Append a message as an API process with another clock would."""
    user = message.user_id
    producer = Producer({"bootstrap.servers": stack.settings.kafka, "acks": "all"})
    partition = partition_of(user, stack.settings.partitions)
    producer.produce(topic, encode(message), user.encode(), partition)
    assert producer.flush(10) == 0


def test_clocks_that_disagree_neither_save_nor_cost_a_play(stack: RunningStack) -> None:
    """Received an hour ahead, it is erased; sent after the erasure by a slow clock, it stays."""
    user, topics = "Ahead-of-time", Topics(stack.settings.namespace)
    hour, now = 3_600_000, int(time.time() * 1000)
    token = stack.token_for(user)
    second = now // 1000 - START
    for i in range(12):
        sent = submission(user, (second - 300 * i, i), received_at=now + hour)
        put(stack, topics.plays, sent)
    put(
        stack,
        topics.feedback,
        Feedback(
            user_id=user,
            kind="love",
            at=now + hour,
            source="t",
            track_id="x",
            artist="Artist 1",
            title="Title 1",
        ),
    )
    stack.wait_applied(90)
    assert stores(traces(stack.settings, user)) >= {"valkey", "postgres", "lake", "model"}
    stack.finish_erasures()
    answer = httpx.delete(f"{stack.api}/v1/users/{user}", headers=headers(token), timeout=60)
    assert run_pending(stack.settings, settle=0) == (1, 1)
    status = httpx.get(f"{stack.api}{answer.headers['location']}", timeout=60).json()
    assert status["state"] == "done"
    assert status["steps"]["postgres"]["plays"] == status["steps"]["lake"]["plays"] == 12
    assert traces(stack.settings, user) == set()
    back = submission(user, (second, 77), received_at=now - hour)
    put(stack, topics.plays, back)
    stack.wait_applied(90)
    assert {"valkey", "postgres", "lake"} <= stores(traces(stack.settings, user))


def test_a_play_that_began_late_in_a_second_leaves_the_window_too(stack: RunningStack) -> None:
    """The window holds the second that has begun; a query that rounds names the next one."""
    user = "Late-in-a-second"
    auth = headers(stack.token_for(user))
    at = int(time.time()) * 1000 - 600_000 + 700
    plays = [
        {"user": user, "artist": "Air", "title": f"Late {n}", "played_at": at + 61_000 * n}
        for n in range(2)
    ]
    answer = httpx.post(f"{stack.api}/v1/plays", json={"plays": plays}, headers=auth, timeout=60)
    event = answer.json()["results"][0]["event_id"]
    stack.wait_applied(90)
    stack.finish_erasures()
    url = f"{stack.api}/v1/users/{user}/plays/{event}"
    assert httpx.delete(url, headers=auth, timeout=60).status_code == 202
    assert run_pending(stack.settings, settle=0) == (1, 1)
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        newest = "select steps from erasures order by requested_at desc limit 1"
        row = connection.execute(newest).fetchone()
    assert row is not None
    assert row[0]["postgres"] == {"plays": 1, "window": 1}


def test_rows_that_come_back_keep_an_erasure_open(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator restores rows while the files are rewritten: the request is not done."""
    user, topics = "Restored-by-a-backup", Topics(stack.settings.namespace)
    token = stack.token_for(user)
    second = int(time.time()) - START
    put(stack, topics.plays, submission(user, (second, 1)))
    stack.wait_applied(90)
    stack.finish_erasures()
    with psycopg.connect(stack.postgres.address, autocommit=True) as connection:
        connection.execute(
            "create table backup_of_plays as select * from plays where user_id = %s", (user,)
        )
        try:
            answer = httpx.delete(
                f"{stack.api}/v1/users/{user}", headers=headers(token), timeout=60
            )
            rewrite = run._FILES["redis-file"]

            def restoring(settings: Settings) -> dict[str, int]:
                connection.execute("insert into plays select * from backup_of_plays")
                return rewrite(settings)

            with monkeypatch.context() as patch:
                patch.setitem(run._FILES, "redis-file", restoring)
                patch.setattr(history, "_HOLDERS", history._HOLDERS.replace(
                    "group by", "and t.table_name <> 'backup_of_plays' group by"
                ))  # fmt: skip
                assert run_pending(stack.settings, settle=0) == (1, 0)
        finally:
            connection.execute("drop table backup_of_plays")
    status = httpx.get(f"{stack.api}{answer.headers['location']}", timeout=60).json()
    assert status["state"] == "running"
    assert "rows were written again: 1 in plays" in status["waiting_for"]
    assert run_pending(stack.settings, settle=0) == (1, 1)
    assert traces(stack.settings, user) == set()


def known_to_the_warehouse(stack: RunningStack, user: str) -> str:
    """Have the warehouse hold a play of a listener, and ask for their erasure; return its URL."""
    token = stack.token_for(user)
    topic = Topics(stack.settings.namespace).plays
    put(stack, topic, submission(user, (int(time.time()) - START, 1)))
    stack.wait_applied(90)
    stack.finish_erasures()
    build(stack)
    answer = httpx.delete(f"{stack.api}/v1/users/{user}", headers=headers(token), timeout=60)
    return f"{stack.api}{answer.headers['location']}"


def write_what_was_landed(settings: Settings) -> None:
    """Build the fact table from the files of the lake that ``raw`` names, as dbt would."""
    with warehouse.connect(settings, read_only=False) as connection:
        connection.execute("create or replace table marts.fct_plays as select * from raw.plays")


def test_a_running_nightly_does_not_bring_a_listener_back(
    stack: RunningStack, tokens: dict[str, str]
) -> None:
    """It read the lake before the rows were deleted, and holds the warehouse open now and then."""
    user = "Read-by-a-nightly"
    url = known_to_the_warehouse(stack, user)
    with alone_tonight(stack.settings):
        assert run_pending(stack.settings, settle=0) == (1, 0)
        status = httpx.get(url, timeout=60).json()
        assert status["steps"]["lake"]["plays"] == 1
        assert "a nightly" in status["waiting_for"]
        write_what_was_landed(stack.settings)
    assert run_pending(stack.settings, settle=0) == (1, 1)
    assert traces(stack.settings, user) == set()


def test_a_nightly_that_resumes_between_two_steps_keeps_an_erasure_open(
    stack: RunningStack, tokens: dict[str, str]
) -> None:
    """Under Airflow each step takes the lock: one may come between two steps of an erasure."""
    user = "Between-two-steps"
    url = known_to_the_warehouse(stack, user)

    def meanwhile(step: str, word: str) -> None:
        if (step, word) == ("model", "running"):  # rows of the warehouse were deleted before
            write_what_was_landed(stack.settings)

    assert run_pending(stack.settings, settle=0, progress=meanwhile) == (1, 0)
    waiting = httpx.get(url, timeout=60).json()["waiting_for"]
    assert "rows were written again: 1 in warehouse marts.fct_plays" in waiting
    assert run_pending(stack.settings, settle=0) == (1, 1)
    assert traces(stack.settings, user) == set()


def test_a_listener_who_came_back_does_not_keep_an_erasure_open(
    stack: RunningStack, tokens: dict[str, str]
) -> None:
    """Their later play is in lake and warehouse: it is theirs to keep, and nothing is left."""
    user = "Back-at-once"
    url = known_to_the_warehouse(stack, user)
    back: list[str] = []

    def meanwhile(step: str, word: str) -> None:
        if (step, word) == ("flink-copies", "running"):
            sent = submission(user, (int(time.time()) - START, 2))
            put(stack, Topics(stack.settings.namespace).plays, sent)
            stack.wait_applied(90)
            build(stack)
            back.extend(play.event_id for play in sent.plays)

    assert run_pending(stack.settings, settle=0, progress=meanwhile) == (1, 1)
    assert httpx.get(url, timeout=60).json()["state"] == "done"
    found = warehouse.query(
        stack.settings, "select event_id from marts.fct_plays where user_id = ?", [user]
    )
    assert [row[0] for row in found.rows] == back


def test_of_two_erasers_one_works_and_the_other_waits(stack: RunningStack) -> None:
    user = "Erased-by-one-of-two"
    token = stack.token_for(user)
    stack.finish_erasures()
    answer = httpx.delete(f"{stack.api}/v1/users/{user}", headers=headers(token), timeout=60)
    seen: list[tuple[int, int]] = []

    def meanwhile(step: str, word: str) -> None:
        """Begin a round of the second eraser at each step of the first one."""
        if word == "running":
            seen.append(run_pending(stack.settings, settle=0))

    assert run_pending(stack.settings, settle=0, progress=meanwhile) == (1, 1)
    assert len(seen) > 5
    assert set(seen) == {(0, 0)}
    assert run_pending(stack.settings, settle=0) == (0, 0)
    id_ = answer.json()["id"]
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        done = [
            row for row in trail.rows(connection) if row.outcome == "done" and id_ in row.detail
        ]
    assert len(done) == 1


def test_doing_it_again_removes_nothing_more(
    stack: RunningStack, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.settings.environ().items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    app.command()(erase)
    result = CliRunner().invoke(app, [LEAVING, "--yes", "--json"])
    assert result.exit_code == 0, result.output
    removed = json.loads(result.stdout)["removed"]
    assert set(removed["postgres"].values()) == {0}
    assert set(removed["lake"].values()) == {0}
    assert CliRunner().invoke(app, ["admin", "--yes"]).exit_code == 1
