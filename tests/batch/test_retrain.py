"""Retraining on a small warehouse: published, refused, left alone, renumbered."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from batch import retrain as training
from batch.retrain import retrain
from batch.suspects import suspects
from batch.training import ials
from batch.training.neighbours import TrainedNeighbours
from contracts import batch_view
from contracts.ids import track_key
from contracts.lake import PARTITION_BY, SUSPECTS
from contracts.settings import Settings
from contracts.suspects import FINDING_DAYS, RELEASED, Suspect

#: Noon of the last day with plays.
LAST = datetime(2025, 3, 3, 12)  # noqa: DTZ001 - the warehouse keeps plain UTC


def _warehouse(settings: Settings, *, days: int = 30, tastes: bool = True) -> None:
    """Two tastes of twenty tracks, a hundred listeners, everybody a few plays a day."""
    draw = random.Random(7)
    plays = [
        (
            f"u{listener}",
            f"t{draw.randrange(20) + 20 * (listener % 2 if tastes else draw.randrange(2))}",
            LAST - timedelta(days=day),
        )
        for day in range(days)
        for listener in range(100)
        if draw.random() < (0.3 if day else 1.0)
    ]
    settings.paths.warehouse.mkdir(parents=True, exist_ok=True)
    settings.paths.warehouse_file.unlink(missing_ok=True)
    with duckdb.connect(str(settings.paths.warehouse_file)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_plays (user_id varchar, song_key varchar, played_at timestamp, "
            "is_counted boolean default true)"
        )
        if plays:
            connection.executemany("insert into marts.fct_plays values (?, ?, ?, true)", plays)
        connection.execute(
            "create table marts.dim_listeners as "
            "select distinct user_id, true as is_current from marts.fct_plays "
            "union all select '-1', true"
        )
        connection.execute(
            "create table marts.dim_tracks as select distinct song_key, 'Air' as artist, "
            "'Song ' || song_key as title from marts.fct_plays union all select '-1', 'x', 'x'"
        )


def test_a_good_model_is_published_with_its_figures(settings: Settings) -> None:
    _warehouse(settings)
    outcome = retrain(settings, lake_version=4)
    assert outcome.published == 1, outcome
    assert outcome.metrics["new.hr@10"] > outcome.metrics["popularity.hr@10"]
    folder = settings.home / "batch_view"
    assert batch_view.current(folder) == 1
    view = batch_view.read(folder, 1)
    assert (view.manifest.algorithm, view.manifest.lake_version) == ("ease", 4)
    assert view.manifest.metrics == outcome.metrics
    assert view.keys.tolist() == sorted(track_key("Air", f"Song t{i}") for i in range(40))
    taste = {track_key("Air", f"Song t{i}"): i >= 20 for i in range(40)}
    side = np.array([taste[int(key)] for key in view.keys])
    assert (side[view.neighbours[:, 0]] == side).all(), "the best neighbour shares the taste"


def test_what_suspects_played_is_not_learned(settings: Settings) -> None:
    """A bot that plays one track for days makes no pair, until an operator releases it."""
    _warehouse(settings)
    with duckdb.connect(str(settings.paths.warehouse_file)) as connection:
        connection.execute(
            "insert into marts.fct_plays (user_id, song_key, played_at) values "
            "('it''s a bot', 't1', timestamp '2025-03-03 11:00:00'), "
            "('it''s a bot', 't2', timestamp '2025-03-03 11:00:00')"
        )
        connection.execute("insert into marts.dim_listeners values ('it''s a bot', true)")
    before = training.load(settings).pairs
    assert before.shape[0] == 101
    now = int(datetime.now(UTC).timestamp() * 1000)
    land_suspects(settings, Suspect(pattern="one-track", started_at=1, ended_at=now, **BOT))
    left = training.load(settings).pairs
    assert left.shape[0] == 100
    assert len(left.users) == len(before.users) - 2
    assert suspects(settings, datetime.now(UTC) + timedelta(days=FINDING_DAYS + 1)) == []
    land_suspects(settings, Suspect(pattern=RELEASED, started_at=3, ended_at=now, **BOT))
    assert training.load(settings).pairs.shape[0] == 101


BOT: dict[str, Any] = {"user_id": "it's a bot", "plays": 40}


def land_suspects(settings: Settings, found: Suspect) -> None:
    """Append a row as the lake sink does."""
    row = {
        **{name: getattr(found, name) for name in SUSPECTS.names if hasattr(found, name)},
        "log_id": "log", "kafka_partition": 0, "kafka_offset": found.started_at, "position": 0,
        "landed_at": datetime.now(UTC), "landed_date": datetime.now(UTC).date(),
    }  # fmt: skip
    table = pa.Table.from_pylist([row], schema=SUSPECTS)
    write_deltalake(
        settings.paths.lake / "suspects", table, mode="append", partition_by=PARTITION_BY
    )


def test_every_pair_of_the_warehouse_is_learned_with_its_newest_play(settings: Settings) -> None:
    """What is handed over is all of `fct_plays`, up to the newest play, and nothing else."""
    _warehouse(settings)
    with duckdb.connect(str(settings.paths.warehouse_file)) as connection:
        connection.execute(
            "insert into marts.fct_plays (user_id, song_key, played_at) values "
            "('u7', 't3', timestamp '2025-03-03 12:00:01'), ('u7', 't3', '2025-01-01 00:00:00')"
        )
        rows = connection.execute(
            "select user_id, song_key, cast(epoch(max(played_at)) as bigint) "
            "from marts.fct_plays group by 1, 2"
        ).fetchall()
    found = training.load(settings)
    listeners = sorted({row[0] for row in rows})
    learned = [
        (listeners[user], int(found.keys[item]), int(second))
        for user, item, second in zip(
            found.pairs.users, found.pairs.items, found.pairs.seconds, strict=True
        )
    ]
    expected = [(user, track_key("Air", f"Song {track}"), second) for user, track, second in rows]
    assert sorted(learned) == sorted(expected)


def test_the_same_plays_are_not_learned_twice(settings: Settings) -> None:
    _warehouse(settings)
    assert retrain(settings).published == 1
    again = retrain(settings)
    assert again.published is None
    assert "no play is newer" in again.reason
    assert batch_view.generations(settings.home / "batch_view") == [1]


def test_a_model_worse_than_popularity_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _warehouse(settings)
    fit = training._fit

    def inverted(*given: Any) -> training.Fitted:
        right = fit(*given)
        wrong = TrainedNeighbours(right.table.targets, -right.table.weights)
        return training.Fitted(right.algorithm, wrong)

    monkeypatch.setattr(training, "_fit", inverted)
    outcome = retrain(settings)
    assert outcome.published is None
    assert "below popularity" in outcome.reason
    assert batch_view.current(settings.home / "batch_view") is None


def _one_in_service(settings: Settings) -> None:
    """Publish a model of the first days; then the newest day's plays are there too."""
    _warehouse(settings)
    with duckdb.connect(str(settings.paths.warehouse_file)) as connection:
        connection.execute("create table kept as select * from marts.fct_plays")
        connection.execute("delete from marts.fct_plays where played_at >= '2025-03-03'")
    assert retrain(settings).published == 1
    with duckdb.connect(str(settings.paths.warehouse_file)) as connection:
        connection.execute("insert into marts.fct_plays from kept where played_at >= '2025-03-03'")


def test_a_model_much_worse_than_the_one_in_service_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_in_service(settings)
    monkeypatch.setattr(training, "TOLERATED", 3.0)
    outcome = retrain(settings)
    assert outcome.published is None
    assert "in service" in outcome.reason
    assert outcome.metrics["in_service.hr@10"] > outcome.metrics["popularity.hr@10"]
    assert batch_view.current(settings.home / "batch_view") == 1
    monkeypatch.setattr(training, "TOLERATED", 0.5)
    assert retrain(settings).published == 2


def test_beyond_ease_the_second_fit_starts_from_the_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _warehouse(settings)
    monkeypatch.setattr(training, "MOST_FOR_EASE", 10)
    starts = []
    factorise = ials.factorise

    def watched(matrix: Any, **options: Any) -> ials.Factors:
        starts.append(options.get("start"))
        return factorise(matrix, **options)

    monkeypatch.setattr(ials, "factorise", watched)
    outcome = retrain(settings)
    assert outcome.published == 1, outcome
    assert [start is None for start in starts] == [True, False]
    view = batch_view.read(settings.home / "batch_view", 1)
    assert view.manifest.algorithm == "ials"
    taste = {track_key("Air", f"Song t{i}"): i >= 20 for i in range(40)}
    side = np.array([taste[int(key)] for key in view.keys])
    assert (side[view.neighbours[:, 0]] == side).all(), "the best neighbour shares the taste"


def test_too_few_plays_teach_nothing(settings: Settings) -> None:
    _warehouse(settings, days=0)
    assert "nothing to learn" in retrain(settings).reason


def test_a_view_in_service_that_cannot_be_read_keeps_no_new_one_out(settings: Settings) -> None:
    _one_in_service(settings)
    (settings.home / "batch_view" / "1" / "neighbours.npz").write_bytes(b"torn")
    outcome = retrain(settings)
    assert outcome.published == 2, outcome
    assert not any(name.startswith("in_service") for name in outcome.metrics)
