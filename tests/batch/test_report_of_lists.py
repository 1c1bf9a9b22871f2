"""The report on recommendations, drawn from a few lists."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import duckdb
import pytest

from batch.reports import recommendation_effectiveness
from batch.reports.render import FORMATS, render
from batch.reports.report import Occasion

_LISTS = """
create schema marts;
create table marts.fct_plays as
select date '2025-03-03' as played_date, 'user-' || (i % 40) as user_id,
    'song-' || (i % 3) as song_key, 'play-' || i as event_id,
    (i // 40 + i // 2) % 10 < (case when i % 2 = 0 then 9 else 6 end) as is_counted
from range(1600) as t(i);
create table marts.metrics_recommendations_daily as
select date '2025-03-02' as shown_date, 'default' as arm, 'next' as mode, 1::bigint as
    model_generation, 4::bigint as lists, 1::bigint as lists_hit, 8::bigint as tracks_shown,
    0.25::double as hit_rate_inverse_propensity, 0.5::double as mean_reciprocal_rank,
    0::bigint as lists_degraded
union all
select date '2025-03-03', 'default', 'next', 2, 6, 3, 12, 0.5, 0.5, 1;
create table marts.fct_recommendation_outcomes as
select date '2025-03-03' as shown_date, i::bigint % 2 as position, i = 0 as is_hit,
    case when i = 0 then 60::bigint end as seconds_to_play, 'play-' || (i * 2) as event_id
from range(4) as t(i)
union all
select date '2025-02-03', 0, true, 60, 'play-' || (i * 2) from range(4, 800) as t(i);
"""


def test_days_places_and_generations_add_up() -> None:
    with duckdb.connect() as connection:
        connection.execute(_LISTS)
        report = recommendation_effectiveness.draw(
            lambda sql, parameters=(): connection.execute(sql, list(parameters)).fetchall(),
            Occasion(date(2025, 3, 4), datetime(2025, 3, 4, tzinfo=UTC)),
        )
    tables = json.loads(render(report, "json"))["tables"]
    assert str(report.facts.pop("Relevance")).startswith("90.0 % (")
    assert report.facts == {"Lists shown": 10, "Lists hit": 4, "Hit-through": "40.0 %"}
    lists, popular, difference = tables["relevance"]
    assert (lists["plays"], lists["relevance"]) == (800, pytest.approx(0.9))
    assert (popular["plays"], popular["relevance"]) == (800, pytest.approx(0.6))
    assert difference["relevance"] == pytest.approx(0.3)
    assert 0.0 < difference["low"] < 0.3 < difference["high"]
    assert [(d["date"], d["hit_through_rate"]) for d in tables["days"]] == [
        ("2025-03-03", 0.5),
        ("2025-03-02", 0.25),
    ]
    assert [(p["place"], p["shown"], p["hits"], p["hit_rate"]) for p in tables["places"]] == [
        (1, 2, 1, 0.5),
        (2, 2, 0, 0.0),
    ]
    assert [g["generation"] for g in tables["groups"]] == [2, 1]
    assert all(render(report, form) for form in FORMATS)
