"""The Flink jobs on Apache Kafka, to the row: independent queries, kills, restores."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]
from typer.testing import CliRunner, Result

from api.flink import FlinkLook
from contracts import erasures
from contracts.erased import Erased
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.lake_tables import lake_table
from contracts.results import KINDS, WINDOWS
from contracts.settings import Settings
from contracts.topics import Topics
from infra.cli.commands.flink import app
from infra.flink.backfill import backfill
from infra.flink.copies import forget, newest
from infra.flink.late import late_days
from infra.flink.process import arguments
from infra.flink.rest import Rest
from infra.operations import acls
from infra.operations.interactions import read
from infra.stack.ports import free_ports
from infra.stack.process import wait_until
from infra.stack.report import Part, tell_of_flink
from infra.stack.server import Server
from streams.decode import Decoder, Record
from streams.flink.statements import PLACES
from streams.lake_sink import LakeSink
from tests.conftest import ROOT
from tests.integration.kafka_cluster import PASSWORD, KafkaCluster
from tests.integration.traces import files
from tests.streams.flink import kit, live_log, oracle
from tests.streams.flink.unbounded import (
    BOUND,
    Unbounded,
    close_windows,
    database,
    fresh,
    play_on,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]


@dataclass
class Run:
    """A log, what the jobs made of it, a database over the log, and what Flink showed meanwhile."""

    settings: Settings
    db: duckdb.DuckDBPyConnection
    log: live_log.LiveLog
    erased: str
    published: dict[str, dict[bytes, Any]]
    told: str

    def rows(self, job: str) -> oracle.Rows:
        return kit.as_rows(job, list(self.published[job].values()))


def plays(count: int) -> live_log.LiveLog:
    """Return a log of real plays where they are available, else of made-up ones."""
    folder = Path(os.environ.get("SEGUE_DATA", ROOT.parent / "shared" / "data"))
    real = folder / "30music_dev.parquet"
    if real.is_file():
        return live_log.make(read(real, limit=count))
    return live_log.make(live_log.synthetic(count))


def erase(settings: Settings, user: str, before: int) -> None:
    """Write an erasure, as the eraser does."""
    producer = Producer({"bootstrap.servers": settings.kafka})
    erasure = erasures.Erasure(listener=erasures.listener_key(user), before=before)
    producer.produce(Topics(settings.namespace).erasures, erasures.encode(erasure), user.encode())
    assert producer.flush(20) == 0


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All jobs over a whole log, to its end, on a broker that encrypts and wants a login.

    The login may do what `segue acls` grants to the jobs, no more.
    """
    kit.needs_flink()
    home = tmp_path_factory.mktemp("flink")
    cluster = KafkaCluster(home / "kafka", ["bounded-flink"], size=1)
    try:
        cluster.start()
        log = plays(4000)
        settings = fresh(cluster.plain, "bounded", log, home)
        user = log.messages[len(log.messages) // 3][1]  # no bot: they are in the middle
        before = max(received for received, name, _ in log.messages if name == user)
        erase(settings, user, before)
        acls.apply(settings)
        told = run_with_login(secured(settings, cluster))
        yield Run(
            settings,
            database(settings, {user: before}),
            log,
            user,
            {job: kit.published(settings, job) for job in kit.DECODERS},
            told,
        )
    finally:
        cluster.stop()


def secured(settings: Settings, cluster: KafkaCluster) -> Settings:
    """Return the settings of the process that runs the jobs."""
    return replace(
        settings, kafka=cluster.secure, kafka_security="SASL_SSL", kafka_ca=str(cluster.ca),
        kafka_user=acls.user(settings, "flink"), kafka_password=PASSWORD,
    )  # fmt: skip


def run_with_login(settings: Settings) -> str:
    """Run all jobs to the end of the log.

    Return the pages of Flink's REST interface about them, and the environment and the temporary
    files of the Java process.
    """
    (port,) = free_ports(1)
    rest = Rest(f"http://127.0.0.1:{port}")
    pages: list[str] = []

    def look(pid: int) -> None:
        if not pages:
            with suppress(StoreUnavailable, httpx.HTTPError, psutil.Error):
                job = f"/jobs/{rest.job().id}"
                paths = (job, f"{job}/plan", f"{job}/config", "/jobmanager/config")
                found = [httpx.get(rest.address + path, timeout=10).text for path in paths]
                (java,) = (c for c in psutil.Process(pid).children() if c.name() == "java")
                files = [path.name for path in (settings.home / "java").iterdir()]
                pages[:] = [*found, *files, *map("=".join, java.environ().items())]

    words = arguments(settings, rest=port, every=2)
    kit.run(
        settings, settings.home / "job.log", "--bounded", "--bound", str(BOUND), *words, watch=look
    )
    return "\n".join(pages)


def test_the_password_of_the_broker_is_neither_logged_nor_shown(bounded: Run) -> None:
    log = (bounded.settings.home / "job.log").read_text()
    assert "sasl.jaas.config = [hidden]" in log  # Kafka's clients log their settings
    assert "AuthorizationException" not in log
    assert "messages" in bounded.told
    assert f"JVM_ARGS={kit.LIGHT}" in bounded.told  # the environment of Java was read
    secret = PASSWORD.partition("'")[2]  # however the rest is escaped
    assert secret not in log + bounded.told


def test_java_unpacks_its_jars_where_it_is_told_to(bounded: Run) -> None:
    """A killed run leaves them: 45 MB each time."""
    assert "flink-table-planner_" in bounded.told


@pytest.mark.parametrize("job", ["sessions", "uniques", "suspects", "late"])
def test_a_job_publishes_the_rows_of_an_independent_query(bounded: Run, job: str) -> None:
    wanted = getattr(oracle, job)(bounded.db)
    found = bounded.rows(job)
    assert wanted - found == oracle.Rows()
    assert found - wanted == oracle.Rows()
    assert wanted, "the log has nothing to find"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_list_of_every_window_is_the_one_of_an_independent_query(
    bounded: Run, kind: str, window: str
) -> None:
    lists = bounded.published["trending"].values()
    mine = [found for found in lists if (found.kind, found.window) == (kind, window)]
    assert kit.as_rows("trending", mine) == oracle.trending(bounded.db, kind, window, PLACES)


def test_late_plays_are_counted_by_day(bounded: Run) -> None:
    days = bounded.db.execute(
        "select strftime(make_timestamp(played_at * 1000), '%Y-%m-%d') as day, count(*) "
        "from late group by day order by day"
    ).fetchall()
    assert list(late_days(bounded.settings).items()) == days
    assert days


def test_every_pattern_is_found(bounded: Run) -> None:
    patterns = {(m.user_id, m.pattern) for m in bounded.published["suspects"].values()}
    assert {("bot-fast", "too-fast"), ("bot-one", "one-track")} <= patterns
    assert sum(pattern == "same-trace" for _, pattern in patterns) >= 5


def test_bad_messages_are_dead_letters_of_flink_and_end_nothing(bounded: Run) -> None:
    topic = Topics(bounded.settings.namespace).dead_letters
    letters = kit.messages(bounded.settings.kafka, topic)
    assert len({key for _, _, key, _ in letters}) == bounded.log.bad
    assert all(b'"stage":"flink"' in value for _, _, _, value in letters)


def test_an_erased_listener_is_in_no_result(bounded: Run) -> None:
    topics = Topics(bounded.settings.namespace)
    played = kit.messages(bounded.settings.kafka, topics.plays)
    assert any(key == bounded.erased.encode() for _, _, key, _ in played)
    for job in ("sessions", "suspects"):
        users = {message.user_id for message in bounded.published[job].values()}
        assert bounded.erased not in users


@pytest.fixture
def unbounded(broker: Server, tmp_path: Path) -> Iterator[Unbounded]:
    kit.needs_flink()
    log = live_log.make(live_log.synthetic(2000))
    namespace = f"unbounded-{tmp_path.name.replace('_', '-')}"[:60]
    settings = fresh(broker.address, namespace, log, tmp_path)
    run = Unbounded(settings, log, "sessions")
    yield run
    if run.process is not None:
        run.kill()


def test_jobs_are_killed_stopped_and_changed(
    unbounded: Unbounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One deployment from its first start on; the jobs resume at each start."""
    own = replace(unbounded.settings, flink=unbounded.rest.address)
    for name, value in own.environ().items():  # of the commands
        monkeypatch.setenv(name, value)
    a_message_ends_the_job(unbounded)
    java_is_killed_and_an_operator_looks(unbounded)
    a_statement_is_changed_between_stop_and_start(unbounded)


def a_message_ends_the_job(run: Unbounded) -> None:
    loop = "    for play in plays:\n"
    guard = "        assert play.artist != 'poison'\n"
    run.start(source=changed(run.settings.home / "poisoned", "rows.py", loop, loop + guard))
    run.wait(lambda job: job.checkpoint_bytes > 0, "checkpoint")
    play_on(run.settings, "poison", run.written.messages[-1][0], 1)
    failed = run.wait(lambda job: "Assertion" in job.exception, "failure")
    place = rf"message {re.escape(Topics(run.settings.namespace).plays)}:\d:\d+: AssertionError"
    assert re.search(place, failed.exception), failed.exception
    assert "last failure: " in segue_flink("status").output


def java_is_killed_and_an_operator_looks(run: Unbounded) -> None:
    settings = run.settings
    (java,) = [c for c in psutil.Process(run.process.pid).children() if c.name() == "java"]
    java.send_signal(signal.SIGKILL)
    run.process.wait(180)  # the supervisor would start it again
    run.start()
    run.wait(lambda job: job.well and job.checkpoint_at > 0, "restored checkpoint")
    restored = httpx.get(f"{run.rest.address}/jobs/{run.rest.job().id}/checkpoints", timeout=60)
    assert restored.json()["latest"]["restored"]

    play_on(settings, "open", run.written.messages[-1][0], 3)
    play_on(settings, "lone", run.written.messages[-1][0], 1)
    run.wait_many("sessions", len(oracle.sessions(database(settings, {}))) * 3 // 4)
    # What an operator sees of it: `segue status`, `segue flink status`, /readyz and Prometheus.
    seen = replace(settings, flink=run.rest.address)
    assert flink_part(seen).well
    assert ": RUNNING, " in segue_flink("status").output
    state, figures = asyncio.run(looked(seen))
    assert (state, figures["running"], figures["restarts"]) == ("ok", 1, 0)
    assert figures["tasks_running"] == figures["tasks"] > 0
    assert figures["checkpoint_bytes"] > 0
    assert figures["late_records_dropped"] == 0  # late is a rule, not a matter of timing


def a_statement_is_changed_between_stop_and_start(run: Unbounded) -> None:
    settings, state = run.settings, run.settings.paths.flink
    place = Path(segue_flink("stop").output.strip().removeprefix("file:"))
    run.process.wait(180)
    forget(settings)
    assert newest(state) == place
    assert flink_part(replace(settings, flink=run.rest.address)).state == "stopped"
    before = kit.as_rows("sessions", list(kit.published(settings, "sessions").values()))
    close_windows(settings, run.written)
    run.jobs = "sessions,uniques"
    several = ("FROM counted_sessions\n", "FROM counted_sessions WHERE plays > 1\n")
    source = changed(settings.home / "changed", "sql/sessions.sql", *several)
    run.start("--parallelism", "2", source=source)
    sessions = {k: 1 for k in oracle.sessions(database(settings, {})) if k[0][:4] != "tail"}
    # What was open when the job was stopped is published whole, by the changed statement.
    wanted = before | oracle.Rows({k: 1 for k in sessions if k not in before and k[3] > 1})
    assert {key[0][:4] for key in wanted - before} >= {"open"}
    assert not any(key[0].startswith("lone") for key in wanted)
    assert set(run.wait_published("sessions", wanted)) == set(wanted)
    # It resumed at the savepoint: the log was not read again.
    assert wait_until(lambda: run.plays_read() > 0, 90)
    assert run.plays_read() < 1000


def test_an_erased_listener_leaves_checkpoints_savepoints_and_later_results(
    unbounded: Unbounded,
) -> None:
    """State forgets as windows close; what was copied before is deleted with the erasure."""
    settings, run = unbounded.settings, unbounded
    run.jobs = "sessions,uniques,suspects"
    leaving = "leaving-listener-0"
    play_on(settings, "leaving-listener", run.written.messages[-1][0], 3)
    # Second deliveries are known for a second here, not for a day.
    run.start("--set", "table.exec.state.ttl=1 s")
    state = settings.paths.flink
    assert wait_until(lambda: bool(files(state / "checkpoints", leaving)), 240)
    run.rest.savepoint(stop=False)
    assert files(state / "savepoints", leaving)

    erase(settings, leaving, int(time.time() * 1000))
    close_windows(settings, run.written)
    last = run.written.messages[-1][0] + 10 * live_log.DAY
    days = itertools.count(1)

    def is_forgotten() -> bool:
        # Flink deletes some expired state each time that other state is used: until all is deleted.
        day = next(days)
        play_on(settings, f"later-{day}", last + day * live_log.DAY, 40)
        forget(settings)
        return not files(state, leaving)

    assert wait_until(is_forgotten, 200, 4), files(state, leaving)
    topics = Topics(settings.namespace)
    kept = topics.configs(flink=True)
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for name in ("sessions", "suspects"):
        asked = ConfigResource(ConfigResource.Type.TOPIC, str(topics.results[name]))
        (found,) = (future.result(20) for future in admin.describe_configs([asked]).values())
        assert found["retention.ms"].value == kept[topics.results[name]]["retention.ms"]
        assert 0 < int(found["retention.ms"].value) <= 30 * live_log.DAY


def segue_flink(command: str) -> Result:
    """Run `segue flink COMMAND`."""
    return CliRunner().invoke(app, [command], catch_exceptions=False)


def flink_part(settings: Settings) -> Part:
    """Return the row of `segue status`."""
    part = Part("flink", "running", 1, 0, 0)
    tell_of_flink(part, settings)
    return part


async def looked(settings: Settings) -> tuple[str, dict[str, float]]:
    """Return what /readyz and /metrics say of Flink."""
    flink = FlinkLook(settings.flink)
    try:
        state = await flink.look()
        for _ in range(60):  # Flink collects the counters of its tasks every second or so
            figures = await flink.measure()
            if {"late_records_dropped", "restarts"} <= figures.keys():
                break
            await asyncio.sleep(0.5)
        return state, figures
    finally:
        await flink.close()


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of the programs with a change in one file of the jobs."""
    for package in ("contracts", "streams"):
        shutil.copytree(ROOT / package, folder / package)
    path = folder / "streams" / "flink" / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    return folder


def test_a_batch_run_counts_a_day_of_the_lake_with_its_late_plays(
    broker: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same SQL over files: all plays count, and its rows say that they are of a run."""
    kit.needs_flink()
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", kit.QUICK)
    log = live_log.make(live_log.synthetic(1500, hourly=15))
    settings = fresh(broker.address, "backfill", log, tmp_path)
    found = kit.messages(settings.kafka, Topics(settings.namespace).plays)
    sink = LakeSink[Any](lake_table(settings, "plays"), "log", 4)
    decoder = Decoder(Erased(), 4)
    for partition in range(4):
        records = [Record(o, v, k) for p, o, k, v in found if p == partition]
        sink.write([decoder.plays(records, partition=partition, start=0)])
    db = oracle.load([(p, o, v) for p, o, _, v in found], bound=10 * 86_400)
    times = [at for (at,) in db.execute("select played_at from plays order by 1").fetchall()]
    midnight = times[len(times) // 2] // live_log.DAY * live_log.DAY  # the bots are in the middle
    day = datetime.fromtimestamp(midnight / 1000, UTC).date()

    done = backfill(settings, day, day)
    first, last = midnight - live_log.DAY, midnight + 2 * live_log.DAY
    assert done.plays == sum(first <= at < last for at in times) < len(times)
    for job, begins in {"sessions": 1, "uniques": 0, "suspects": 2}.items():
        published = list(kit.published(settings, job).values())
        assert {message.run for message in published} == {done.run}
        wanted = {
            row: 1 for row in getattr(oracle, job)(db) if 0 <= row[begins] - midnight < live_log.DAY
        }
        assert kit.as_rows(job, published) == wanted


def test_days_the_wrong_way_round_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is after"):
        backfill(replace(Settings(), home=tmp_path), date(2026, 1, 2), date(2026, 1, 1))
