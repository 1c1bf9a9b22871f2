"""Figures, lineage and quality from what a nightly published."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from api.analytics import metrics
from contracts.figures import DEFINITIONS, Day, Figures
from contracts.quality_history import QualityHistory
from contracts.warehouse import Column, Node, TableTest, Warehouse
from tests.api.conftest import World
from tests.contracts.test_quality_history import point

FIRST = date(2026, 1, 1)
HEADERS = {"authorization": "Token analyst-token"}


@pytest.fixture
def published(world: World) -> Iterator[World]:
    """Sixty days, ten plays each but for the newest, which is not over; two of a fifth are hits."""
    days = [Day(str(FIRST + timedelta(i)), 10.0 if i < 59 else 1.0) for i in range(60)]
    shares = [Day(day.day, 1.0, 5.0) for day in days]
    found = Figures(
        generated_at="2026-03-01T03:00:00+00:00", run="r", lake_version=7,
        days={name: shares if d.kind == "share" else days for name, d in DEFINITIONS.items()},
    )  # fmt: skip
    nodes = [
        Node(name="raw.plays", kind="source"),
        Node(
            name="marts.metrics_daily", kind="model", inputs=["raw.plays"], status="ok",
            columns=[Column("date_day", "date")], sql="select 1",
            tests=[TableTest("unique", "pass"), TableTest("range", "fail", "plays", "3 rows")],
        ),
        Node(name="figure:plays", kind="figure", title="Plays", inputs=["marts.metrics_daily"]),
        Node(name="marts.other", kind="model", inputs=["raw.plays"]),
    ]  # fmt: skip
    built = Warehouse(run="r", target="duckdb", built_at="x", lake_version=7, nodes=nodes)
    paths = world.services.settings.paths
    paths.figures_file.parent.mkdir(exist_ok=True)
    paths.figures_file.write_bytes(msgspec.json.encode(found))
    paths.warehouse_document.write_bytes(msgspec.json.encode(built))
    yield world
    paths.figures_file.unlink()
    paths.warehouse_document.unlink()


async def ask(client: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await client.get(path, headers=HEADERS)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_usual_period_ends_with_the_newest_day_that_is_over(
    client: httpx.AsyncClient, published: World
) -> None:
    found = await ask(client, "/v1/metrics")
    assert [metric["name"] for metric in found["metrics"]] == list(DEFINITIONS)
    assert (found["start"], found["end"]) == ("2026-02-01", "2026-02-28")
    plays = found["metrics"][0]
    assert plays["value"] == 280
    assert plays["change"] == 0
    assert len(plays["series"]) == 28
    assert plays["tables"][0]["failed"] == ["range"]
    assert (found["tests"], found["failed"]) == (2, 1)


async def test_a_share_has_an_interval_and_changes_in_points(
    client: httpx.AsyncClient, published: World
) -> None:
    (share,) = (await ask(client, "/v1/metrics/hit-through"))["metrics"]
    assert share["value"] == pytest.approx(0.2)
    assert share["low"] < 0.2 < share["high"]
    assert share["change"] == pytest.approx(0)


async def test_weeks_and_months_and_days_without_figures(
    client: httpx.AsyncClient, published: World
) -> None:
    path = "/v1/metrics/plays?start=2025-12-30&end=2026-01-11&by="
    weeks = (await ask(client, path + "week"))["metrics"][0]["series"]
    assert [(p["start"], p["value"]) for p in weeks] == [("2025-12-30", 40), ("2026-01-05", 70)]
    months = (await ask(client, path + "month"))["metrics"][0]["series"]
    assert [(p["start"], p["value"]) for p in months] == [("2025-12-30", None), ("2026-01-01", 110)]


async def test_nonsense_is_refused(client: httpx.AsyncClient, published: World) -> None:
    for query in ("start=2026-02-01&end=2026-01-01", "start=1999-01-01", "by=year", "end=soon"):
        await ask(client, f"/v1/metrics?{query}", 400)
    await ask(client, "/v1/metrics/profit", 404)


async def test_before_the_first_nightly_nothing_is_known(client: httpx.AsyncClient) -> None:
    found = await ask(client, "/v1/metrics")
    assert found["published_at"] is None
    assert {metric["value"] for metric in found["metrics"]} == {None}
    for path in ("/v1/warehouse/models", "/v1/lineage/figure:plays", "/v1/quality"):
        await ask(client, path, 404)


async def test_lineage_goes_down_to_what_landed(
    client: httpx.AsyncClient, published: World
) -> None:
    found = await ask(client, "/v1/lineage/figure:plays")
    assert [row["name"] for row in found["tables"]] == [
        "raw.plays", "marts.metrics_daily", "figure:plays",
    ]  # fmt: skip
    whole = await ask(client, "/v1/warehouse/models/raw.plays")
    assert whole["downstream"] == ["marts.metrics_daily", "marts.other", "figure:plays"]
    assert (await ask(client, "/v1/warehouse/models/marts.metrics_daily"))["node"]["sql"]
    await ask(client, "/v1/warehouse/models/marts.nothing", 404)


async def test_quality_has_the_newest_answer_and_those_before(
    client: httpx.AsyncClient, published: World
) -> None:
    folder = published.services.settings.paths.runs
    folder.mkdir(exist_ok=True)
    for day, ok in ((1, True), (2, False)):
        check = {"table": "raw.plays", "name": "freshness", "ok": ok, "detail": "2 days"}
        record = {"id": f"r{day}", "started_at": f"2026-01-0{day}", "checks": [check]}
        (folder / f"r{day}.json").write_bytes(msgspec.json.encode(record))
    found = await ask(client, "/v1/quality")
    assert found["run"] == "r2"
    (check,) = found["checks"]
    assert check["group"] == "freshness"
    assert [answer["ok"] for answer in check["answers"]] == [False, True]
    assert found["tables"] == [{"table": "marts.metrics_daily", "tests": 2, "failed": ["range"]}]
    assert (await ask(client, "/v1/quality?run=r1"))["run"] == "r1"
    await ask(client, "/v1/quality?run=r9", 404)
    for path in folder.glob("*.json"):
        path.unlink()


async def test_the_models_history_of_a_period(client: httpx.AsyncClient, world: World) -> None:
    path = world.services.settings.paths.quality_history
    assert (await ask(client, "/v1/model/history"))["points"] == []
    history = QualityHistory(path)
    now = int(time.time() * 1000)
    for hours in (24 * 30, 5, 4, 3):
        history.add(point(now - 3_600_000 * hours))
    try:
        found = await ask(client, "/v1/model/history")
        assert [round((now - p["at"]) / 3_600_000) for p in found["points"]] == [5, 4, 3]
        assert found["points"][0]["popularity"] == 0.05
        assert len((await ask(client, "/v1/model/history?limit=2"))["points"]) == 2
        whole = await ask(client, "/v1/model/history?from=2020-01-01")
        assert len(whole["points"]) == 4
        assert (await ask(client, "/v1/model/history?to=0001-01-02"))["points"] == []
        wrong = await ask(client, "/v1/model/history?from=2026-01-02&to=2026-01-01", 400)
        assert wrong["error"]["field"] == "to"
        assert (await ask(client, "/v1/model/history?from=soon", 400))["error"]["field"] == "from"
    finally:
        path.unlink()


def test_where_all_plays_are_of_today_the_usual_period_ends_today() -> None:
    def newest(*days: Day) -> date:
        at = "2026-03-01T03:00:00+00:00"
        found = Figures(generated_at=at, run="r", lake_version=1, days={"plays": list(days)})
        return metrics._newest(found)

    old, today = Day("2025-06-01", 4.0), Day("2026-03-01", 9.0)
    assert newest(today) == newest(old, Day("2026-02-20", 0.0), today) == date(2026, 3, 1)
    assert newest(old, Day("2026-02-20", 1.0), today) == date(2026, 2, 28)
    assert newest(old) == date(2025, 6, 1)
