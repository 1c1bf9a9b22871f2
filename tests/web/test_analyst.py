"""The analyst's pages: empty, late, with a test that failed; nonsense in an address."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.web.answers import metrics
from tests.web.doubles import World, full
from tests.web.markup import read_whole


@pytest.fixture
async def world() -> World:
    made = World()
    full(made.fake)
    await made.sign_in("eve", ["analyst"])
    return made


async def test_an_analyst_begins_with_the_overview(world: World) -> None:
    answer = await world.client.get("/ui/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/analytics")


async def test_before_the_first_nightly_pages_say_what_to_do(world: World) -> None:
    none = metrics("Air", published_at=None, run=None, lake_version=None, metrics=[])
    world.fake.on("GET /v1/metrics", none)
    world.fake.on("GET /v1/reports", {"reports": []})
    world.fake.on("GET /v1/runs", {"runs": []})
    world.fake.refuse("GET /v1/quality", 404, "not-checked", "No nightly run has checked yet.")
    world.fake.refuse("GET /v1/warehouse/models", 404, "not-built", "The nightly run does it.")
    for path in ("/ui/analytics", "/ui/analytics/quality"):
        answer = await world.client.get(path)
        assert answer.status_code == 200
        assert "segue nightly" in read_whole(answer.text).text
    answer = await world.client.get("/ui/analytics/lineage")
    assert answer.status_code == 200
    assert "The nightly run does it." in read_whole(answer.text).text


async def test_six_figures_with_change_interval_and_how(world: World) -> None:
    page = read_whole((await world.client.get("/ui/analytics")).text)
    assert "21,807" in page.text
    assert "20.0 %" in page.text
    assert "95 % interval 10.0 to 30.0 %" in page.text
    assert "-5.0 points against the period before" in page.text
    assert "worse" in page.text
    assert "1 of 7 tests failed: Air" in page.text  # beside the figure that is asked of it
    assert "/ui/analytics/lineage/figure%3Aplays" in page.links


async def test_late_figures_say_so_and_fresh_ones_do_not(world: World) -> None:
    late = read_whole((await world.client.get("/ui/analytics")).text)
    assert "The warehouse is late" in late.text
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    world.fake.on("GET /v1/metrics(/.*)?", metrics("Air", published_at=now, failed=0))
    world.fake.on("GET /v1/runs", {"runs": []})
    fresh = read_whole((await world.client.get("/ui/analytics")).text)
    assert "116 of 116 dbt tests passed" in fresh.text
    one = read_whole((await world.client.get("/ui/analytics/metrics/plays")).text)
    assert "did not run" not in one.text


async def test_periods_of_the_address_reach_the_api(world: World) -> None:
    await world.client.get("/ui/analytics/metrics/plays?start=2026-01-01&end=2026-01-04&by=week")
    asked = [r.url.params for r in world.fake.asked if r.url.path == "/v1/metrics/plays"]
    assert dict(asked[-1]) == {"start": "2026-01-01", "end": "2026-01-04", "by": "week"}
    wrong = await world.client.get("/ui/analytics?start=yesterday")
    assert wrong.status_code == 400
    assert "is not a day" in read_whole(wrong.text).text
    assert 'name="start" value="yesterday" aria-invalid="true"' in wrong.text
    message = "The period ends before it begins."

    def judge(request: httpx.Request) -> httpx.Response:
        if "end" not in request.url.params:
            return httpx.Response(200, json=metrics("Air"))
        error = {"code": "bad-parameter", "message": message, "field": "end"}
        return httpx.Response(400, json={"error": error})

    world.fake.on("GET /v1/metrics.*", judge)
    for path in ("/ui/analytics", "/ui/analytics/metrics/plays"):
        wrong = await world.client.get(f"{path}?start=2026-02-01&end=2026-01-01")
        assert wrong.status_code == 400
        assert message in read_whole(wrong.text).text
        assert 'name="end" value="2026-01-01" aria-invalid="true"' in wrong.text


async def test_what_does_not_exist_offers_an_analyst_no_search_of_tracks(world: World) -> None:
    page = await world.client.get("/ui/analytics/lineage/nothing/at/all")
    assert page.status_code == 404
    assert "/ui/search" not in page.text


async def test_an_address_with_what_is_no_id_does_not_exist(world: World) -> None:
    world.fake.refuse("GET /v1/erasures/x", 400, "bad-parameter", "Not a UUID.", "request_id")
    page = await world.client.get("/ui/erasures/x")
    assert page.status_code == 404
    assert "Page not found" in page.text


async def test_nothing_was_counted_in_a_period(world: World) -> None:
    empty = metrics("Air")
    empty["metrics"] = [empty["metrics"][0] | {"value": None, "series": []}]
    world.fake.on("GET /v1/metrics/plays", empty)
    page = read_whole((await world.client.get("/ui/analytics/metrics/plays")).text)
    assert "Nothing was counted in this period." in page.text
    assert "unknown" in page.text


async def test_a_run_that_failed_is_said_above_the_figures_before(world: World) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    world.fake.on("GET /v1/metrics", metrics("Air", published_at=now))
    page = read_whole((await world.client.get("/ui/analytics")).text)
    assert "The last run is failed: Air. The figures are of the previous run." in page.text


async def test_quality_shows_what_failed_and_the_runs_before(world: World) -> None:
    page = read_whole((await world.client.get("/ui/analytics/quality")).text)
    assert "1 of 1 check failed" in page.text
    assert "Anomalies" in page.text
    assert "warning" in page.text
    assert any("quality?run=" in link for link in page.links)
