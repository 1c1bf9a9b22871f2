"""One dbt project on two targets: the same plays give the same marts, to the last value."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlglot
from psycopg.types.json import Jsonb
from sqlfluff.core import FluffConfig, Linter
from sqlglot import exp

from batch import dbt_runner, snowflake_warehouse, warehouse
from batch.ask import Ask
from batch.experiments.preference import Preferences
from batch.experiments.reading import experiments, interleaved
from batch.experiments.sizes import Size, size
from batch.experiments.verdict import Facts
from batch.lake import Lake
from batch.nightly import nightly
from batch.snowflake_landing import land_batch_tables
from contracts.experiments import METRICS
from contracts.settings import Settings
from infra.operations.erasure.lake import forget as erase_from_lake
from infra.operations.erasure.snowflake import forget as erase_from_snowflake
from infra.operations.erasure.target import Target
from infra.operations.erasure.warehouse import forget as erase_from_warehouse
from infra.snowflake.backfill import backfill
from infra.snowflake.check import check, questions
from infra.snowflake.compare import compare
from infra.stack.postgres import Postgres
from tests.batch.lakes import append, at, delivery, repeated, replace_catalogue, said, shown
from tests.snowflake_emulator.deployment import Deployment, deployed

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result"),
    pytest.mark.timeout(600),
]

_DAY = 24 * 60
MODELS = ["build", "--exclude-resource-type", "unit_test"]


def plays() -> list[dict[str, Any]]:
    """A month of a dozen listeners: repeats, late plays, bad ones, every optional column."""
    draw = random.Random(7)
    rows = [
        delivery(
            f"user-{draw.randrange(12)}",
            f"T{draw.randrange(60)}",
            draw.randrange(28 * _DAY),
            artist=f"Ärtist  {draw.randrange(9)}",
            album=draw.choice([None, "Moon", " moon  "]),
            ms_played=draw.choice([None, 30_000, 180_000]),
            duration_ms=draw.choice([None, 180_000]),
            skipped=draw.choice([None, True, False]),
        )
        for _ in range(500)
    ]
    again = [repeated(row) for row in draw.sample(rows, 40)]
    bad = [delivery("bob", "", 9), delivery("bob", "x", 9, ms_played=-1)]
    late = [delivery("user-1", f"late {i}", 20 * i, landed=30 * _DAY) for i in range(10)]
    return rows + again + bad + late


def merge(settings: Settings, rows: list[dict[str, Any]], apart: bool = False) -> None:
    """Say that every second of these plays is counted as the one before it, or no longer is.

    As of its landing, or of three days later: incremental models look back from the newest row.
    """
    with psycopg.connect(settings.postgres_dsn) as history:
        for head, member in zip(rows[::2], rows[1::2], strict=True):
            history.execute(
                "insert into merges (user_id, event_id, head_id, why, at)"
                " values (%s, %s, %s, '', %s)",
                (
                    member["user_id"],
                    member["event_id"],
                    None if apart else head["event_id"],
                    member["landed_at"] + timedelta(days=3 if apart else 0),
                ),
            )


def told_twice(start: int, pairs: int) -> list[dict[str, Any]]:
    """Return pairs of plays that two clients reported, the later with an album."""
    return [
        delivery("user-1", f"Both {number}", start + 7 * number + late / 10, album=album)
        for number in range(pairs)
        for late, album in ((0, None), (1, "Told"))
    ]


def _without_tests(arguments: list[str], *rest: Any) -> dbt_runner.Build:
    """Leave dbt's data tests out.

    Each is a few statements to a server that takes 50 ms for one; DuckDB runs them all in
    test_batch_warehouse, and tests.benchmarks.two_targets runs them all here.
    """
    at = arguments.index("unit_test") + 1
    return _run([*arguments[:at], "test", *arguments[at:]], *rest)


_run = dbt_runner.run


def dbt(settings: Settings, *arguments: str) -> None:
    """Run dbt as the two warehouses do, but not all of its tests."""
    on_snowflake = "snowflake" in arguments
    folder = settings.paths.warehouse / ("snowflake" if on_snowflake else "")
    built = dbt_runner.run([*arguments], folder, warehouse._profile(settings))
    assert built.ok, built.failed
    assert built.nodes


COUNTED = (
    "fct_plays", "fct_impressions", "fct_feedback", "fct_recommendation_outcomes",
    "fct_experiment_listeners", "fct_interleaved_listeners", "metrics_experiments",
    "metrics_recommendations_daily",
)  # fmt: skip
MERGED = told_twice(28 * _DAY, 5)
#: What PostgreSQL has of two experiments: one of two groups, one of drafted lists.
EXPERIMENTS = {
    "look": {"layer": "lists", "metric": "hit_through", "guardrails": ["degraded"]},
    "draft": {
        "design": "interleaved", "layer": "interleaved", "metric": "preference", "guardrails": [],
    },
}  # fmt: skip


def lists() -> Iterator[dict[str, Any]]:
    """A list for each listener: both arms of one experiment, drafted from both of the other."""
    for number in range(12):
        tracks = [f"T{i}" for i in range(number)]
        fell_back = number == 5
        for place, row in enumerate(
            shown(f"user-{number}", tracks, 300 * number, artist="A", degraded=number == 7)
        ):
            drafted = "old+new!" if fell_back else ("old+", "new+")[(place + number // 4) % 2]
            look = f"look={('old', 'new')[number % 2]}{'!' * fell_back}"
            yield row | {"arm": f"draft={drafted};{look}"}
    # The arm of one listener changed: user-2 had a list of `old` before.
    for row in shown("user-2", ["T50"], 630, artist="A"):
        yield row | {"arm": "draft=old+;look=new"}


LISTS = list(lists())
#: Plays from the lists; the last lands weeks late.
HITS = [
    delivery(f"user-{n}", f"T{n // 2}", 300 * n + 10, artist="A", ms_played=60_000)
    for n in range(1, 12)
] + [delivery("user-3", "T0", 920, artist="A", ms_played=60_000, landed=29 * _DAY)]
#: Plays from the lists that a client sent twice.
HITS_AGAIN = [repeated(row) for row in HITS[::3]]
#: The listener who is erased before the second night.
ERASED = "user-4"


def start_experiments(settings: Settings) -> None:
    """Define both and start them before the first list."""
    arms = [{"name": name, "weight": 0.5, "overrides": {}} for name in ("old", "new")]
    with psycopg.connect(settings.postgres_dsn) as connection:
        for key, made in EXPERIMENTS.items():
            definition = made | {
                "key": key, "hypothesis": "None.", "arms": arms,
                "planned_end": at(30 * _DAY).isoformat(),
            }  # fmt: skip
            connection.execute(
                "insert into experiments (key, layer, definition, started_at)"
                " values (%s, %s, %s, %s)",
                (key, made["layer"], Jsonb(definition), at(-1)),
            )


WORDS = [
    said(f"user-{i % 5}", kind, f"T{i}", 40 * i) for i, kind in enumerate(["love", "hate"] * 4)
]


#: The experiment of two groups, the interleaved one, and the size of one to come.
Known = tuple[Facts, Preferences, Size]


def known(ask: Ask) -> Known:
    """Return what a warehouse knows of both experiments."""
    (facts,), (drafted,) = experiments(ask), interleaved(ask)
    return facts, drafted, size(ask, "hit_through", 0.1)


@dataclass(frozen=True)
class Both:
    """A deployment whose plays were built on both targets.

    Attributes
    ----------
    counts
        Table -> its rows on DuckDB and on Snowflake after the first night.
    different
        Marts that were not the same on both then.
    judged
        What DuckDB and Snowflake knew of the experiments then.
    """

    settings: Settings
    snowflake: Deployment
    folder: Path
    counts: dict[str, tuple[int, int]]
    different: list[str]
    judged: tuple[Known, Known]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    settings = Settings(home=folder / "home", postgres_dsn=postgres.address)
    append(settings, plays() + MERGED + HITS + HITS_AGAIN)
    append(settings, LISTS, "impressions")
    append(settings, WORDS, "feedback")
    replace_catalogue(settings, "ambient", ["ärtist 1", "ärtist 2", "Air"], ["T1", "t2", "T3"])
    merge(settings, MERGED)
    start_experiments(settings)
    warehouse.land(settings, Lake.newest(settings))
    with deployed(folder) as snowflake, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt_runner, "run", _without_tests)
        dbt(settings, *MODELS)
        moved = backfill(settings, snowflake.loader)
        assert {m.table: m.landed for m in moved} == {
            "plays": len(plays()) + len(MERGED) + len(HITS) + len(HITS_AGAIN),
            "feedback": len(WORDS),
            "impressions": len(LISTS),
        }
        for name, value in snowflake.environ(snowflake.transformer).items():
            patch.setenv(name, value)
        # fakesnow's sessions share one DuckDB: two writers would only conflict.
        patch.setenv("SEGUE_SNOWFLAKE_THREADS", "1")
        snowflake_warehouse.land(settings, Lake.newest(settings))
        dbt(settings, *MODELS, "--target", "snowflake")
        folder = settings.home / "warehouse" / "snowflake"
        counts = {
            table: (
                warehouse.count(settings, table), snowflake_warehouse.count(settings, table)
            )
            for table in COUNTED
        }  # fmt: skip
        with warehouse.asking(settings) as ask, snowflake_warehouse.asking(settings) as other:
            judged = known(ask), known(other)
        yield Both(settings, snowflake, folder, counts, differing(settings, snowflake), judged)
    with psycopg.connect(settings.postgres_dsn) as connection:
        connection.execute("delete from experiments")


def differing(settings: Settings, snowflake: Deployment) -> list[str]:
    found = compare(settings, snowflake.transformer)
    assert len(found) >= 8
    return [f"{c.table}: {c.duckdb} / {c.snowflake}" for c in found if not c.same]


def test_every_mart_is_the_same_on_both_targets(both: Both) -> None:
    assert not both.different
    assert both.counts["fct_plays"] == (510 + len(MERGED) // 2 + len(HITS),) * 2
    for table, (here, there) in both.counts.items():
        assert here == there > 0, table


def test_experiments_are_judged_alike_on_both_targets(both: Both) -> None:
    """The sums of which every estimate is made, and what follows from them."""
    (here, drafted, needed), (there, drafted_there, needed_there) = both.judged
    assert needed == needed_there
    assert here.listeners == there.listeners == {"old": 4, "new": 6}
    assert here.seen_twice == there.seen_twice == 1, "user-2 saw both arms and is left out"
    assert here.fell_back == there.fell_back
    # One list of eight: both lists of user-2 count here, under the arm whose name sorts first.
    assert here.fell_back == {"old": 0.0, "new": pytest.approx(1 / 8)}
    assert set(here.moments) == set(METRICS)
    for metric, arms in here.moments.items():
        for arm, moments in arms.items():
            other_moments = there.moments[metric][arm]
            assert moments.n == other_moments.n
            assert np.allclose(moments.products, other_moments.products, rtol=1e-12), metric
    assert np.array_equal(drafted.moments.products, drafted_there.moments.products)
    assert drafted.moments.n == drafted_there.moments.n == 10
    assert drafted.moments.sums[[0, 2]].min() > 0, "plays are credited to both arms"
    assert drafted.fell_back == drafted_there.fell_back == pytest.approx(1 / 12)


def test_whole_numbers_come_by_column(both: Both) -> None:
    """As Arrow they are what they are as rows; no rows are no numbers."""
    sql = "select count(*) as n, max(epoch(played_at)) as at from marts.fct_plays group by user_id"
    ordered = sql + " order by user_id"
    columns = snowflake_warehouse.whole_numbers(both.settings, ordered)
    with snowflake_warehouse.asking(both.settings) as ask:
        assert [tuple(row) for row in zip(*columns, strict=True)] == ask(ordered)
    none = snowflake_warehouse.whole_numbers(
        both.settings, sql.replace("group", "where false group")
    )
    assert [len(column) for column in none] == [0, 0]


def test_merges_and_catalogue_are_landed_once_with_load_metadata(both: Both) -> None:
    """What is landed again lands nothing; an entry that appears below others is not missed."""
    newest = Lake.newest(both.settings)
    landed = land_batch_tables(both.settings, newest)
    assert landed.pop("experiment_arms") == 4, "they land every night: staging reads the newest"
    assert set(landed.values()) == {0}
    both.snowflake.ask(
        "delete from {db}.RAW.PLAY_MERGES where id = (select min(id) from {db}.RAW.PLAY_MERGES)"
    )
    assert land_batch_tables(both.settings, newest)["play_merges"] == 1
    for table in ("PLAY_MERGES", "CATALOGUE_ARTISTS", "CATALOGUE_TRACKS"):
        ((rows, told),) = both.snowflake.ask(
            "select count(*), count_if(loaded_at is not null and file_row > 0) "
            f"from {{db}}.RAW.{table}"
        )
        assert rows == told > 0, table
    assert both.snowflake.ask("list @{db}.RAW.BATCH") == [], "files go once they are copied"


@pytest.mark.parametrize("died", ["PUT", "copy into", "REMOVE"])
def test_a_night_killed_while_landing_neither_loses_nor_doubles(
    both: Both, died: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement at which it dies is carried out, and nobody hears of it."""
    from snowflake.connector.cursor import SnowflakeCursor

    both.snowflake.ask("delete from {db}.RAW.PLAY_MERGES")
    execute = SnowflakeCursor.execute

    def dying(self: Any, sql: str, *rest: Any, **options: Any) -> Any:
        done = execute(self, sql, *rest, **options)
        if sql.startswith(died):
            raise KeyboardInterrupt
        return done

    newest = Lake.newest(both.settings)
    with monkeypatch.context() as patch:
        patch.setattr(SnowflakeCursor, "execute", dying)
        with pytest.raises(KeyboardInterrupt):
            land_batch_tables(both.settings, newest)
    land_batch_tables(both.settings, newest)
    ((rows, distinct),) = both.snowflake.ask(
        "select count(*), count(distinct id) from {db}.RAW.PLAY_MERGES"
    )
    assert rows == distinct >= len(MERGED) // 2


def test_a_difference_is_noticed(both: Both) -> None:
    both.snowflake.ask("update {db}.MARTS.DIM_TRACKS set PLAYS = PLAYS + 1 where TITLE = 'T7'")
    try:
        assert [line.split(":")[0] for line in differing(both.settings, both.snowflake)] == [
            "dim_tracks"
        ]
    finally:
        both.snowflake.ask("update {db}.MARTS.DIM_TRACKS set PLAYS = PLAYS - 1 where TITLE = 'T7'")


def test_what_dbt_sends_is_snowflake_sql(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    """As two parsers see it; `make lint` runs the second over what dbt renders for DuckDB."""
    caplog.set_level(logging.CRITICAL, "sqlglot")
    files = [*(both.folder / "target" / "run").rglob("*.sql")]
    assert len(files) > 20
    for file in files:
        for tree in sqlglot.parse(file.read_text(), read="snowflake"):
            assert not isinstance(tree, exp.Command), file
    linter = Linter(config=FluffConfig(overrides={"dialect": "snowflake", "templater": "raw"}))
    models = [*(both.folder / "target" / "compiled" / "segue" / "models").rglob("*.sql")]
    models = [model for model in models if not model.parent.name.endswith(".yml")]
    assert len(models) > 20
    for model in models:
        assert not linter.parse_string(model.read_text()).violations, model
    assert linter.parse_string("select from from x").violations, "it can fail"


def test_analysts_would_see_pseudonyms_in_every_mart(both: Both) -> None:
    held = both.snowflake.emulator.account.masked
    db = both.snowflake.admin.database
    found = both.snowflake.ask(
        "select table_name from {db}.information_schema.columns "
        "where table_schema = 'MARTS' and column_name = 'USER_ID'"
    )
    assert found
    assert {f"{db}.MARTS.{table}.USER_ID" for (table,) in found} <= set(held)


def test_moving_again_moves_nothing(both: Both) -> None:
    assert {m.landed for m in backfill(both.settings, both.snowflake.loader)} == {0}


def test_the_account_is_as_it_should_be(both: Both) -> None:
    """What the emulation cannot answer is marked as such; everything else is right."""
    real = {q.name for q in questions(both.snowflake.admin) if q.real_only}
    wrong = [a for a in check(both.snowflake.admin) if not a.ok and a.name not in real]
    assert not wrong
    both.snowflake.ask("create or replace warehouse {db}_LOAD auto_suspend = 900")
    db, account = both.snowflake.admin.database, both.snowflake.emulator.account
    masked = f"{db}.MARTS.FCT_PLAYS.USER_ID"
    policy = account.masked.pop(masked)
    wrong = [a for a in check(both.snowflake.admin) if not a.ok and a.name not in real]
    account.masked[masked] = policy
    both.snowflake.ask("create or replace warehouse {db}_LOAD auto_suspend = 60")
    assert [(a.name, a.detail.partition(" of ")[2]) for a in wrong[1:]] == [
        ("listener ids are masked where they land and in the marts", "MARTS.FCT_PLAYS")
    ]
    assert wrong[0].name == "warehouses sleep and are watched"


def erase(both: Both, patch: pytest.MonkeyPatch) -> int:
    """Erase a listener from the lake and from both warehouses; return how many plays they had."""
    patch.setenv("SEGUE_SNOWFLAKE_ERASER_USER", both.snowflake.eraser.user)
    patch.setenv("SEGUE_SNOWFLAKE_ERASER_PRIVATE_KEY_FILE", str(both.snowflake.key_file))
    target = Target(ERASED, 0)
    assert erase_from_lake(both.settings, target)["impressions"] == 4
    removed = erase_from_warehouse(both.settings, target)
    assert removed["marts.fct_experiment_listeners"] == 2, "the experiment and everybody"
    assert erase_from_snowflake(both.settings, target)["marts.fct_experiment_listeners"] == 2
    return removed["marts.fct_plays"]


def test_a_second_night_is_the_same_too(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incremental on both: late plays reopen sessions, the snapshot closes versions.

    A listener was erased: both warehouses judge the experiments without them.

    On Snowflake the whole nightly runs: gates, dbt, retraining, reports.
    """
    more = [delivery("user-2", f"N{i}", 31 * _DAY + i, artist="New") for i in range(80)]
    more += [delivery("user-3", f"T{i}", 90 * i, landed=32 * _DAY) for i in range(30)]
    append(both.settings, more)
    gone = erase(both, monkeypatch)
    merge(both.settings, MERGED[:4], apart=True)
    replace_catalogue(both.settings, "folk", ["ärtist 1", "New"], ["T1", "N2"])
    warehouse.land(both.settings, Lake.newest(both.settings))
    dbt(both.settings, *MODELS)
    moved = {m.table: m.landed for m in backfill(both.settings, both.snowflake.loader)}
    assert moved == {"plays": 110, "feedback": 0, "impressions": 0}
    run = nightly(both.settings, target="snowflake", until="reports")
    assert [(s.name, s.detail) for s in run.steps if s.status == "failed"] == []
    assert run.step("reports").status == "ok", run.error
    assert run.step("build").rows["fct_plays"] == 620 + len(MERGED) // 2 + 2 + len(HITS) - gone
    assert run.step("retrain").rows == {"generation": 1}
    assert not differing(both.settings, both.snowflake)
    with warehouse.asking(both.settings) as ask, snowflake_warehouse.asking(both.settings) as other:
        for facts, drafted, _ in (known(ask), known(other)):
            assert facts.listeners == {"old": 3, "new": 6}
            assert drafted.moments.n == 9
    listeners = both.snowflake.ask("select max(version_number) from {db}.MARTS.DIM_LISTENERS")
    assert listeners == [(2,)], "a listener's favourite changed"
    genres = both.snowflake.ask("select distinct genre from {db}.MARTS.DIM_ARTISTS")
    assert {genre for (genre,) in genres} == {None, "folk"}, "the newest catalogue alone counts"
