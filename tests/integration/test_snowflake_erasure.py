"""A listener leaves Snowflake: tables, staged and quarantined files, after a kill at any point."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import redis
from psycopg.types.json import Jsonb

from contracts import heartbeat
from contracts.errors import StoreUnavailable
from contracts.events import Submission
from contracts.features import Keys
from contracts.heartbeat import Heartbeat
from contracts.retries import Backoff
from contracts.settings import Settings
from infra.operations.audit import trail
from infra.operations.erasure import snowflake as erasure
from infra.operations.erasure.run import run_pending
from infra.operations.erasure.target import Target
from infra.stack.postgres import Postgres
from infra.stack.valkey import Valkey
from streams.decode import Batch
from streams.snowflake_sink import landing as landing_module
from streams.snowflake_sink.landing import Landing, Outcome
from streams.snowflake_sink.pipe import Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.sink import SnowflakeSink
from streams.snowflake_sink.stage import Stage
from tests.snowflake_emulator.deployment import Deployment, deployed
from tests.snowflake_emulator.statements import stage_files
from tests.streams.plays import START, submission

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result"),
    pytest.mark.timeout(600),
]
LEAVING, STAYING = "Vittoria O'Erasable", "bystander"
#: When the erasure was written.
BEFORE_MS = (START + 9000) * 1000
SCHEMAS = ("STAGING", "SNAPSHOTS", "MARTS")


def sink_of(snowflake: Deployment, log_id: str) -> SnowflakeSink[Submission]:
    """Return a landing sink of plays, as the worker makes one."""
    remote = Remote(threading.Event(), limit=20)
    stage = Stage(snowflake.loader, remote, "plays")
    landing = Landing(stage, Pipe(snowflake.loader, remote, "plays"), remote, silence=0.5)
    return SnowflakeSink(stage, landing, "segue.plays", log_id, "plays", 3, lambda s: len(s.plays))


def batch(partition: int, start: int, *said: Submission) -> Batch[Submission]:
    messages = [(start + i, each) for i, each in enumerate(said)]
    return Batch(partition, start, start, start + len(said) - 1, messages, [])


@dataclass
class Landed:
    """Two listeners in every table, in staged files and in files that were set aside."""

    snowflake: Deployment
    settings: Settings
    log_id: str
    sink: SnowflakeSink[Submission]

    def forget(self, target: Target | None = None) -> dict[str, int]:
        return erasure.forget(self.settings, target or self.target())

    def target(self, event_id: str | None = None) -> Target:
        """Return an erasure up to the places of the plays of second 9000."""
        return Target(LEAVING, BEFORE_MS, event_id, {self.log_id: [2, 3, 1]})

    def places(self, user: str) -> set[str]:
        """Search every table and every staged file."""
        tables = self.snowflake.ask(
            "select table_schema, table_name from {db}.information_schema.tables "
            "where table_type = 'BASE TABLE'"
        )
        found = set()
        for schema, table in tables:
            rows = self.snowflake.ask(f"select * from {{db}}.{schema}.{table}")
            if any(user in map(str, row) for row in rows):
                found.add(f"{schema}.{table}")
        for stage in ("LANDING", "BATCH"):
            for file in stage_files(f"{self.snowflake.admin.database}.RAW.{stage}"):
                content = file.read_bytes()
                if user.encode() in content or user in str(pq.read_table(io.BytesIO(content))):
                    found.add(f"{stage}/{file.name}")
        return found

    def count(self, user: str) -> int:
        name = user.replace("'", "''")
        ((count,),) = self.snowflake.ask(
            f"select count(*) from {{db}}.RAW.PLAYS where user_id = '{name}'"
            f" and log_id = '{self.log_id}'"
        )
        return int(count)


@pytest.fixture(scope="module")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("snowflake")) as deployment:
        yield deployment


@pytest.fixture
def landed(
    snowflake: Deployment, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Landed]:
    monkeypatch.setattr(landing_module, "PAUSES", Backoff(0.02, 0.02))
    for name, value in snowflake.environ(snowflake.loader).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEGUE_SNOWFLAKE_ERASER_USER", snowflake.eraser.user)
    monkeypatch.setenv("SEGUE_SNOWFLAKE_ERASER_PRIVATE_KEY_FILE", str(snowflake.key_file))
    log_id = uuid.uuid4().hex[:8]
    sink = sink_of(snowflake, log_id)
    sink.positions()
    both = [submission(user, (0, 1), (300, 2)) for user in (LEAVING, STAYING)]
    late = submission(LEAVING, (9000, 3))
    snowflake.faults.break_loads(f"{log_id}/p0001/{0:020d}", times=3)
    snowflake.faults.break_loads(f"{log_id}/p0002/{0:020d}", times=3)
    sink.write([batch(0, 0, *both, late), batch(1, 0, *both), batch(2, 0, both[0])])
    sink.write([batch(1, 2, both[1])])
    snowflake.ask(
        "insert into {db}.RAW.PLAY_MERGES (id, event_id, head_id, changed_at, source_file) "
        f"select 1, min(event_id), max(event_id), current_timestamp(), '{log_id}' "
        "from {db}.RAW.PLAYS where user_id like 'Vittoria%'"
    )
    for schema in SCHEMAS:
        snowflake.ask(f"create or replace table {{db}}.{schema}.OF_{schema} as "
                      "select user_id, event_id, received_at from {db}.RAW.PLAYS")  # fmt: skip
    snowflake.ask("create or replace table {db}.MARTS.DIM_LISTENERS as "
                  "select distinct user_id from {db}.RAW.PLAYS")  # fmt: skip
    snowflake.ask("create or replace table {db}.MARTS.DIM_TRACKS as "
                  "select distinct title from {db}.RAW.PLAYS")  # fmt: skip
    yield Landed(snowflake, Settings(home=tmp_path, postgres_dsn=postgres.address), log_id, sink)
    snowflake.faults.clear()
    sink.stage.close()
    for table in ("PLAYS", "PLAY_MERGES", "QUARANTINE"):
        snowflake.ask(f"delete from {{db}}.RAW.{table}")
    snowflake.ask("remove @{db}.RAW.LANDING/segue.plays/")


def test_no_table_and_no_staged_file_knows_them_any_more(landed: Landed) -> None:
    everywhere = {f"{schema}.OF_{schema}" for schema in SCHEMAS} | {"RAW.PLAYS"}
    assert landed.places(LEAVING) >= everywhere | {"MARTS.DIM_LISTENERS"}
    assert len([p for p in landed.places(LEAVING) if p.startswith("LANDING")]) == 3
    everything = Target(LEAVING, BEFORE_MS)
    removed = landed.forget(everything)
    assert landed.places(LEAVING) == set()
    assert removed["raw.plays"] == 3
    assert removed["raw.play_merges"] == removed["marts.dim_listeners"] == 1
    assert (removed["files"], removed["time_travel_days"]) == (3, 1)
    assert landed.places(STAYING) >= everywhere
    assert landed.snowflake.ask("select count(*) > 0 from {db}.MARTS.DIM_TRACKS") == [(True,)]
    again = landed.forget(everything)
    assert again == {"files": 0, "time_travel_days": 0}, "nothing is left to remove"


def test_the_sink_goes_on_where_it_stood(landed: Landed) -> None:
    """What was loaded is not loaded again; what was set aside comes without them."""
    landed.forget(Target(LEAVING, BEFORE_MS))
    next_one = sink_of(landed.snowflake, landed.log_id)
    assert next_one.positions() == {0: 3, 1: 3, 2: 1}
    assert landed.count(STAYING) == 4
    assert next_one.landing.replay() == Outcome(rows=2), "the bystander's part of one file"
    assert (landed.count(STAYING), landed.count(LEAVING)) == (6, 0)
    assert next_one.write([batch(0, 3, submission(STAYING, (600, 4)))]) == 1
    assert next_one.write([batch(2, 1, submission(STAYING, (601, 4)))]) == 1
    assert next_one.stage.quarantined() == {}
    next_one.stage.close()


def test_what_came_later_stays(landed: Landed) -> None:
    removed = landed.forget()
    assert landed.count(LEAVING) == 1
    assert removed["raw.plays"] == 2
    held = landed.snowflake.ask(
        "select received_at from {db}.MARTS.OF_MARTS where user_id like 'V%'"
    )
    assert [row[0].timestamp() for row in held] == [START + 9000.5]


def test_one_play_is_deleted_everywhere(landed: Landed) -> None:
    play = submission(LEAVING, (300, 2)).plays[0]
    removed = landed.forget(landed.target(play.event_id))
    assert (removed["raw.plays"], removed["marts.of_marts"], removed["files"]) == (1, 1, 3)
    assert landed.count(LEAVING) == 2
    assert not [place for place in landed.places(play.event_id) if "MERGES" not in place]


@pytest.mark.parametrize("died", ["PUT", "insert into", "REMOVE", "delete from"])
def test_killed_anywhere_and_done_again(
    landed: Landed, died: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run carries out one more such statement and dies; the sink may start in between."""
    from snowflake.connector.cursor import SnowflakeCursor

    execute, target = SnowflakeCursor.execute, Target(LEAVING, BEFORE_MS)
    for survived in range(20):
        left = [survived]

        def dying(self: Any, sql: str, *rest: Any, left: Any = left, **options: Any) -> Any:
            done = execute(self, sql, *rest, **options)
            if sql.startswith(died):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
            return done

        with monkeypatch.context() as patch:
            patch.setattr(SnowflakeCursor, "execute", dying)
            try:
                landed.forget(target)
                break
            except KeyboardInterrupt:
                pass
        if died != "delete from":  # rows of RAW are no business of a sink that has loaded them
            started = sink_of(landed.snowflake, landed.log_id)
            assert started.positions() == {0: 3, 1: 3, 2: 1}
            started.stage.close()
    assert survived > 0, f"no statement is {died}"
    assert landed.places(LEAVING) == set()
    assert landed.count(STAYING) in (4, 6), "a file set aside may have been loaded by a sink"
    assert landed.sink.landing.replay().quarantined == 0
    assert (landed.count(STAYING), landed.count(LEAVING)) == (6, 0)


def test_who_may_not_see_listeners_is_told_what_to_set(
    landed: Landed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGUE_SNOWFLAKE_ERASER_USER")
    with pytest.raises(StoreUnavailable, match="set SEGUE_SNOWFLAKE_ERASER_USER"):
        landed.forget()
    monkeypatch.setenv("SEGUE_SNOWFLAKE_PRIVATE_KEY_FILE", "/nowhere.p8")
    with pytest.raises(StoreUnavailable, match="cannot read /nowhere"):
        landed.forget()
    assert landed.count(LEAVING) == 3


def test_a_snowflake_that_is_away_is_waited_for(
    landed: Landed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else of the request is done and on record; only Snowflake is left."""
    steps = ["log", "workers", "redis", "postgres", "staging", "lake", "warehouse", "model"]
    steps += ["redis-file", "lake-versions", "warehouse-file", "flink-copies"]
    done = {step: {"partition": 0, "offset": 0} for step in steps}
    with psycopg.connect(landed.settings.postgres_dsn, autocommit=True) as history:
        (request,) = history.execute(
            "insert into erasures (user_id, subject, state, before_ms, steps, ends)"
            " values (%s, 'x', 'running', %s, %s, '{}') returning id",
            (LEAVING, BEFORE_MS, Jsonb(done)),
        ).fetchone() or ("",)
        with monkeypatch.context() as away:
            away.setenv("SEGUE_SNOWFLAKE_PORT", "1")
            away.setattr("contracts.snowflake.LOGIN_SECONDS", 1)
            assert run_pending(landed.settings, settle=0) == (1, 0)
        state, reason = history.execute(
            "select state, waiting_for from erasures where id = %s", (request,)
        ).fetchone() or ("", "")
        assert state == "running"
        assert "Snowflake" in reason
        assert run_pending(landed.settings, settle=0) == (1, 1)
        state, found = history.execute(
            "select state, steps from erasures where id = %s", (request,)
        ).fetchone() or ("", {})
        assert (state, found["snowflake"]["raw.plays"]) == ("done", 3)
        entries = [row for row in trail.rows(history) if str(request) in row.detail]
    assert [row.outcome for row in entries] == ["done"]
    assert landed.places(LEAVING) == set()


def test_without_an_account_it_is_skipped_but_not_where_a_sink_runs(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGUE_SNOWFLAKE_ACCOUNT", raising=False)
    settings = Settings(home=tmp_path, redis_url=valkey.address, namespace="no-snowflake")
    target = Target(LEAVING, BEFORE_MS)
    assert erasure.forget(settings, target) == {"configured": 0}
    long_ago = replace_beat(settings, 0)
    assert erasure.forget(settings, target) == {"configured": 0}, long_ago
    replace_beat(settings, BEFORE_MS * 2)
    with pytest.raises(StoreUnavailable, match="set SEGUE_SNOWFLAKE_ACCOUNT"):
        erasure.forget(settings, target)


def replace_beat(settings: Settings, at: int) -> Heartbeat:
    """Let a landing sink have reported at a moment."""
    beat = Heartbeat(name="snowflake-sink", pid=1, at=at, state="running")
    with redis.Redis.from_url(settings.redis_url) as client:
        key = Keys(settings.namespace, settings.partitions).workers
        client.hset(key, "snowflake-sink", heartbeat.encode(beat))
    return beat
