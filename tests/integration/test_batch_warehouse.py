"""The dbt project on DuckDB and Delta: dedupe, rejection, late plays, rerun, concurrent appends."""

from __future__ import annotations

import multiprocessing
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batch import warehouse
from batch.dbt_runner import Build
from batch.lake import Lake
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.settings import Settings
from infra.operations.erasure import lake
from infra.operations.erasure.target import Target
from infra.operations.erasure.warehouse import forget
from tests.batch.lakes import append, at, delivery, repeated, said, shown

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TABLES = (
    "staging.stg_segue__plays",
    "staging.stg_segue__plays_rejected",
    "intermediate.int_plays_sessionized",
    "marts.fct_plays",
    "marts.fct_sessions",
    "marts.metrics_daily",
    "marts.dim_listeners",
    "marts.dim_tracks",
    "marts.dim_artists",
    "marts.dim_albums",
    "marts.dim_dates",
    "marts.fct_impressions",
    "marts.fct_recommendation_outcomes",
    "marts.fct_feedback",
    "marts.metrics_recommendations_daily",
    "marts.metrics_retention_weekly",
    "marts.ml_listener_features_daily",
    "marts.ml_track_features_daily",
    "marts.ml_training_examples",
)

#: What lands on three nights: the second brings late plays and repeats, the third almost nothing.
_DAY = 24 * 60


def _nights() -> list[list[dict[str, Any]]]:
    draw = random.Random(5)
    first = [
        delivery(
            f"user-{i % 12}",
            f"T{draw.randrange(40)}",
            5 * i,
            artist=f"A{i % 7}",
            ms_played=1,
            skipped=i % 3 == 0,
        )
        for i in range(300)
    ]
    first += [
        delivery("ada", "a", 0),
        delivery("ada", "c", 50),  # 50 minutes later: another session
        delivery("ada", "z", 300, duration_ms=0),  # a length that its client does not know
    ]
    first += [delivery("kim", f"K{i}", i, artist="A0", landed=400) for i in range(3)]
    bad = [delivery("bob", "", 9), delivery("bob", "x", 9, ms_played=-1)]
    again = [repeated(row) for row in draw.sample(first, 25)]
    late = 5 * _DAY
    second = [
        delivery("ada", "b", 25, landed=late),  # joins ada's first two sessions
        delivery("ada", "A ", 0, landed=late, album="Moon", duration_ms=9),  # the same play, richer
        delivery("user-3", "old", -40 * _DAY, landed=late),
        *[delivery(f"user-{i % 9}", "new", 4 * _DAY + i, landed=late) for i in range(60)],
        *[delivery("user-8", f"n{i}", 4 * _DAY + 90 + i, landed=late) for i in range(60)],
        # Behind what kim had landed: her favourite changes, the time of her newest landing not.
        *[delivery("kim", f"L{i}", 10 + i, landed=300) for i in range(10)],
    ]
    third = [
        delivery("eve", "only", 6 * _DAY),
        # The last play of the first night once more, a skip now and days in the future.
        delivery(first[299]["user_id"], first[299]["title"], 6 * _DAY, artist="A5", skipped=True),
    ]
    return [first + bad + again, second, third]


def _show(settings: Settings) -> None:
    """Lists for ada, who plays "b" 25 minutes after the start; feedback; a broken row of each."""
    lists = [
        *shown("ada", ["b", "never"], 10),
        *shown("ada", ["x", "b"], 20, propensity=0.5),
        *shown("eve", ["x"], 10, propensity=7.0),
    ]
    append(settings, [*lists, repeated(lists[0])], "impressions")
    words = [
        said("ada", "love", "b", 30),
        said("ada", "undo", "b", 40),
        said("bob", "adore", "b", 1),
    ]
    append(settings, words, "feedback")


def _build(settings: Settings, **options: Any) -> Build:
    warehouse.land(settings, Lake.newest(settings))
    built = warehouse.build(settings, **options)
    assert built.ok, built.failed
    return built


def _checksums(settings: Settings) -> dict[str, tuple[int, int]]:
    """Rows and an order-independent hash over every column of every table."""
    return {
        table: warehouse.query(
            settings, f"select count(*), coalesce(bit_xor(hash(t)), 0) from {table} as t"
        ).rows[0]
        for table in TABLES
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three nights, built incrementally."""
    settings = Settings(home=tmp_path_factory.mktemp("nights"))
    _show(settings)
    for number, rows in enumerate(_nights()):
        if number == 2:
            _before_the_third.update({name: _features(settings, name) for name in _FEATURES})
        append(settings, rows)
        _build(settings)
    return settings


_FEATURES = {
    "ml_listener_features_daily": "feature_date",
    "ml_track_features_daily": "feature_date",
    "ml_training_examples": "played_at",
}
_before_the_third: dict[str, set[tuple[Any, ...]]] = {}


def _features(settings: Settings, table: str) -> set[tuple[Any, ...]]:
    return set(warehouse.query(settings, f"select * from marts.{table}").rows)


@pytest.mark.parametrize("table", _FEATURES)
def test_no_feature_knows_the_future(built: Settings, table: str) -> None:
    """Plays of a later day change no feature and no example of the days before."""
    before, after = _before_the_third[table], _features(built, table)
    assert before, "no features: the test shows nothing"
    later = _one(built, "select max(played_at) from marts.fct_plays")[0].date()
    column = f"cast({_FEATURES[table]} as date)"
    new = _one(built, f"select count(*) from marts.{table} where {column} = ?", later)[0]
    assert new > 0, "the future brought nothing: the test shows nothing"
    assert len(after - before) == new
    assert before <= after


def _one(settings: Settings, sql: str, *parameters: Any) -> tuple[Any, ...]:
    rows = warehouse.query(settings, sql, parameters).rows
    assert len(rows) == 1, rows
    return rows[0]


def test_incremental_nights_equal_one_full_refresh(built: Settings, tmp_path: Path) -> None:
    whole = replace(built, home=tmp_path)
    (tmp_path / "lake").symlink_to(built.paths.lake)
    _build(whole)
    nightly, at_once = _checksums(built), _checksums(whole)
    # Versions of a listener show which nights there were: the one table that remembers.
    assert nightly.pop("marts.dim_listeners") != at_once.pop("marts.dim_listeners")
    assert nightly == at_once


def test_built_twice_is_the_same(built: Settings) -> None:
    before = _checksums(built)
    _build(built)
    assert _checksums(built) == before
    _build(built, full_refresh=True)
    assert _checksums(built) == before


def test_every_distinct_play_is_there_once(built: Settings) -> None:
    accepted = {
        row["event_id"]
        for night in _nights()
        for row in night
        if row["title"] and (row["ms_played"] or 0) >= 0
    }
    assert warehouse.count(built, "fct_plays") == len(accepted)
    assert warehouse.count(built, "raw.plays") == sum(len(night) for night in _nights())


def test_the_first_delivery_wins_and_the_later_one_fills(built: Settings) -> None:
    row = _one(
        built,
        "select title, album, duration_ms, received_at, landed_at from staging.stg_segue__plays "
        "where user_id = 'ada' and lower(trim(title)) = 'a'",
    )
    first = delivery("ada", "a", 0)
    assert row[:3] == ("a", "Moon", 9)
    assert row[3] == first["received_at"].replace(tzinfo=None)
    assert row[4] == at(5 * _DAY).replace(tzinfo=None)


def test_a_length_of_nothing_is_unknown_and_costs_no_play(built: Settings) -> None:
    row = _one(
        built,
        "select plays.duration_ms, played_ratio from marts.fct_plays as plays "
        "join marts.dim_tracks using (track_id) where user_id = 'ada' and title = 'z'",
    )
    assert row == (None, None)


def test_a_late_play_joins_the_sessions_around_it(built: Settings) -> None:
    rows = warehouse.query(
        built,
        "select title, session_position, is_session_start, count(*) over (partition by session_id) "
        "from marts.fct_plays join marts.dim_tracks using (track_id) where user_id = 'ada' "
        "order by played_at",
    ).rows
    assert [(row[0].strip().lower(), *row[1:]) for row in rows] == [
        ("a", 1, True, 3),
        ("b", 2, False, 3),
        ("c", 3, False, 3),
        ("z", 1, True, 1),
    ]


def test_sessions_are_those_of_the_plays_that_are_left_after_an_erasure(tmp_path: Path) -> None:
    """The first play of a session names it; the one in the middle can hold two parts together."""
    settings = Settings(home=tmp_path / "erased")
    plays = {
        user: [delivery(user, f"{user}{i}", 25 * i, artist=user) for i in range(4)]
        for user in ("first", "middle", "last", "nobody")
    }
    later = delivery("eve", "later", 5 * _DAY)  # nights read only what landed lately
    append(settings, [*(play for several in plays.values() for play in several), later])
    _build(settings)
    for user, which in (("first", 0), ("middle", 1), ("last", 3)):
        target = Target(user, before_ms=0, event_id=plays[user][which]["event_id"])
        lake.forget(settings, target)
        forget(settings, target)
    append(settings, [delivery("eve", "last", 6 * _DAY)])
    _build(settings)
    rows = warehouse.query(
        settings,
        "select user_id, list(session_position order by played_at) from marts.fct_plays "
        "where user_id <> 'eve' group by user_id order by user_id",
    ).rows
    assert dict(rows) == {
        "first": [1, 2, 3], "last": [1, 2, 3], "middle": [1, 1, 2], "nobody": [1, 2, 3, 4],
    }  # fmt: skip
    gone = plays["first"][0]
    (held,) = _one(
        settings,
        "select count(*) from intermediate.int_plays_sessionized "
        "where user_id = 'first' and (session_id = ? or session_started_at = ?)",
        gone["event_id"], gone["played_at"],
    )  # fmt: skip
    assert held == 0
    whole = replace(settings, home=tmp_path / "whole")
    whole.home.mkdir()
    (whole.home / "lake").symlink_to(settings.paths.lake)
    _build(whole)
    left = ("intermediate.int_plays_sessionized", "marts.fct_plays", "marts.fct_sessions")
    nightly, at_once = _checksums(settings), _checksums(whole)
    assert [nightly[table] for table in left] == [at_once[table] for table in left]


def test_a_listener_whose_favourite_changes_gets_a_new_version(built: Settings) -> None:
    rows = warehouse.query(
        built,
        "select version_number, artist, is_current from marts.dim_listeners as l "
        "join marts.dim_artists as a on a.artist_key = l.favourite_artist_key "
        "where user_id = 'user-8' order by version_number",
    ).rows
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 1
    assert rows[-1][1:] == ("Air", True), "sixty new plays of Air landed on the second night"
    assert not any(row[2] for row in rows[:-1])


def test_traits_that_change_without_a_newer_play_leave_no_version_behind(built: Settings) -> None:
    rows = warehouse.query(
        built,
        "select version_number, artist, valid_from, is_current from marts.dim_listeners as l "
        "join marts.dim_artists as a on a.artist_key = l.favourite_artist_key "
        "where user_id = 'kim'",
    ).rows
    assert rows == [(1, "Air", at(0).replace(tzinfo=None), True)]


def test_daily_metrics_add_up(built: Settings) -> None:
    plays, discoveries, arrivals = _one(
        built, "select sum(plays), sum(discoveries), sum(new_listeners) from marts.metrics_daily"
    )
    pairs, listeners = _one(
        built,
        "select count(distinct (user_id, track_id)), count(distinct user_id) from marts.fct_plays",
    )
    assert (plays, discoveries, arrivals) == (warehouse.count(built, "fct_plays"), pairs, listeners)


def test_bad_rows_are_kept_with_their_reasons(built: Settings) -> None:
    rows = warehouse.query(
        built, "select reject_reasons from staging.stg_segue__plays_rejected order by 1"
    ).rows
    assert rows == [("negative-ms-played",), ("no-title",)]


def test_a_list_is_judged_by_what_was_played_after_it(built: Settings) -> None:
    rows = warehouse.query(
        built,
        "select shown_at, position, is_hit, seconds_to_play, inverse_propensity "
        "from marts.fct_recommendation_outcomes order by shown_at, position",
    ).rows
    assert [row[1:] for row in rows] == [
        (0, False, None, 1.0),  # the later list gets the play
        (1, False, None, 1.0),
        (0, False, None, 2.0),
        (1, True, 300, 2.0),
    ]
    assert _one(
        built,
        "select lists, lists_hit, hit_through_rate, hit_rate_inverse_propensity, "
        "mean_reciprocal_rank from marts.metrics_recommendations_daily",
    ) == (2, 1, 0.5, pytest.approx(2 / 6), 0.25)


def test_what_cannot_be_used_is_kept_with_its_reasons(built: Settings) -> None:
    assert _one(
        built, "select user_id, reject_reasons from staging.stg_segue__impressions_rejected"
    ) == ("eve", "bad-propensity")
    assert _one(
        built, "select user_id, reject_reasons from staging.stg_segue__feedback_rejected"
    ) == ("bob", "unknown-kind")
    assert warehouse.count(built, "fct_feedback") == 2


def test_a_play_without_album_points_at_the_unknown_one(built: Settings) -> None:
    assert _one(
        built,
        "select distinct album from marts.fct_plays join marts.dim_albums using (album_key) "
        "where user_id = 'eve'",
    ) == ("Unknown",)


def test_the_rules_of_the_project_hold(built: Settings) -> None:
    result = warehouse._dbt(built, ["test", "--select", "test_type:unit"])
    assert result.ok, result.failed
    assert len(result.nodes) >= 16


def test_appends_while_building_are_not_seen_half(built: Settings, tmp_path: Path) -> None:
    settings = replace(built, home=tmp_path)
    append(settings, [delivery("ada", f"T{i}", i) for i in range(50)])
    snapshot = Lake.plays(settings).snapshot()
    assert snapshot
    done = threading.Event()

    def sink() -> None:
        number = 0
        while not done.is_set():
            append(settings, [delivery("bob", f"S{number}", number + i / 10) for i in range(10)])
            number += 1

    thread = threading.Thread(target=sink)
    thread.start()
    try:
        warehouse.land(settings, {"plays": snapshot})
        assert warehouse.build(settings).ok
    finally:
        done.set()
        thread.join()
    grown = Lake.plays(settings).snapshot()
    assert grown
    assert grown.rows > snapshot.rows, "nothing was appended: the test shows nothing"
    assert warehouse.count(settings, "raw.plays") == snapshot.rows
    assert warehouse.count(settings, "fct_plays") == snapshot.rows
    _build(settings)
    assert warehouse.count(settings, "raw.plays") == grown.rows
    distinct = "select count(distinct event_id) from raw.plays"
    assert warehouse.query(settings, distinct).rows == [(warehouse.count(settings, "fct_plays"),)]


def _hold(path: Path, held: Any, release: Any) -> None:
    import duckdb

    with duckdb.connect(str(path)):
        held.set()
        release.wait(60)


def test_a_locked_warehouse_names_its_holder(built: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(built.paths.warehouse_file, held, release))
    process.start()
    try:
        assert held.wait(60)
        with pytest.raises(StoreUnavailable, match=f"PID {process.pid}"):
            warehouse.build(built)
        with pytest.raises(StoreUnavailable, match="being written by"):
            warehouse.count(built, "fct_plays")
    finally:
        release.set()
        process.join()


def test_a_table_that_does_not_exist_is_named(built: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no table fct_nothing"):
        warehouse.count(built, "fct_nothing")
    with pytest.raises(ConfigurationError, match="not a table name"):
        warehouse.count(built, "fct_plays; drop table x")
    with pytest.raises(ConfigurationError, match="segue nightly"):
        warehouse.count(replace(built, home=tmp_path), "fct_plays")
