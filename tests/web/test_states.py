"""The table of every page and the states it can be in: empty, degraded, stale.

Full, away, forbidden and signed out are the same for every page: `test_pages.py` walks them all.
For a state that a page lacks, the table has the reason.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from tests.web.answers import (
    ARTIST,
    ERASURE,
    EVENT,
    IMPORT,
    LETTER,
    RUN,
    TRACK,
    experiment,
    imported,
    judged,
    listing,
    metrics,
    operations,
    quality_point,
)
from tests.web.doubles import ROLES, FakeApi, World, full
from tests.web.markup import read_whole
from tests.web.test_pages import ALL
from web.words import moment

NO_PLAYS: tuple[str, Any] = ("GET .*/plays", {"user": "ada", "plays": [], "before": None})
NONE_PLAYED = {"plays": 0, "hours": 0.0, "tracks": 0, "artists": 0, "skips": 0, "discoveries": 0,
               "first": None, "last": None}  # fmt: skip
NO_STATS: tuple[str, Any] = ("GET .*/stats", {
    "user": "ada", "start": "2026-01-01", "end": "2026-02-01", "zone": "UTC", "by": "day",
    "totals": NONE_PLAYED, "before": NONE_PLAYED, "series": [], "week": [[0] * 24] * 7,
    "artists": [], "albums": [], "tracks": []})  # fmt: skip
NEVER = metrics("Air", published_at=None, run=None, lake_version=None, metrics=[])
UNKNOWN = metrics("Air", published_at=None, run=None, lake_version=None)
UNKNOWN["metrics"] = [UNKNOWN["metrics"][0] | {"value": None, "series": []}]
NO_MODEL = {"ready": False, "generation": 0, "tracks": 0, "plays_learned": 0, "clock": 0,
            "offsets": {}, "views": {}, "health": {}}  # fmt: skip
BUILT = {"run": RUN, "built_at": "2026-01-01T03:00:30+00:00", "upstream": [], "downstream": [],
         "node": {"name": "raw.plays", "kind": "source", "title": "", "description": "",
                  "sql": "", "inputs": [], "status": "", "rows": None, "seconds": None,
                  "finished_at": None, "columns": [], "tests": []}}  # fmt: skip
BARE_RUN = {"id": RUN, "date": "2026-01-01", "target": "duckdb", "status": "empty",
            "started_at": None, "finished_at": None, "seconds": None, "cpu_seconds": None,
            "cost": None, "lake_version": None, "lake_rows": 0, "error": None}  # fmt: skip
BARE_REPORT = {"report": "x", "title": "Top", "summary": "", "generated_at": "2026-01-01",
               "tables": {"top": []}}  # fmt: skip
ALIKE = "GET /v1/tracks/[^/]+/similar"


class State(NamedTuple):
    """What the API answers, and words that the page then shows.

    ``answers`` are ``(pattern, answer)``; an answer that is a number is a refusal with this status.
    """

    words: str
    answers: tuple[tuple[str, Any], ...] = ()


def shows(words: str, *answers: tuple[str, Any]) -> State:
    """Return a state that a test goes through."""
    return State(words, answers)


LIVE = "what it shows is of now"
WHOLE = "one endpoint: without it the API is away"
FIXED = "it shows no data"
#: Address -> its empty, degraded and stale state; a text is the reason for its lack.
TABLE: dict[str, tuple[State | str, State | str, State | str]] = {
    "/ui/": (
        shows("nobody has played anything here",
              ("GET .*/recommendations", listing("Air", recommendations=[]))),
        shows("Popular tracks only",
              ("GET .*/recommendations", listing("Air", degraded=True, stranger=True))),
        "the last list while the API is away: test_pages",
    ),
    "/ui/plays": (shows("No play yet", NO_PLAYS), WHOLE, LIVE),
    f"/ui/plays/{EVENT}": (
        "there is a play or a 404",
        shows("The play is safe", ("GET .*/life", 503)),
        shows("no longer one of them", ("GET .*/what-if", 404)),
    ),
    "/ui/stats": (shows("No play in this period", NO_STATS), WHOLE, LIVE),
    "/ui/stats/story/2026-01": (shows("No play in January 2026", NO_STATS), WHOLE, LIVE),
    "/ui/stats/months": (
        shows("No play in these months",
              ("GET .*/months", {"user": "ada", "zone": "UTC", "months": [], "artists": []})),
        WHOLE, LIVE,
    ),
    "/ui/what-if": (
        shows("nothing to recommend yet", ("GET .*/what-if", {
            "user": "ada", "generation": 3, "offset": 1, "at": "2026-01-01T00:00:00+00:00",
            "now": [], "then": []})),
        shows("A minute ago and now", ("GET .*/plays", 503)),
        LIVE,
    ),
    "/ui/albums?artist=Air&name=Moon": (
        shows("You have not played it", NO_PLAYS),
        shows("Your plays cannot be read at the moment", ("GET .*/plays", 503)),
        "facts carry the day they were observed on",
    ),
    "/ui/taste": (
        shows("Nothing loved yet", ("GET .*/feedback", {"user": "a", "total": 0, "feedback": []})),
        WHOLE, LIVE,
    ),
    "/ui/search?q=air": (
        shows("0 artists and 0 tracks for", ("GET /v1/search", {
            "query": "air", "artists": [], "tracks": [], "next_offset": None, "hint": None})),
        WHOLE, LIVE,
    ),
    f"/ui/artists/{ARTIST}": (
        shows("You have not played Air", NO_PLAYS),
        shows("Your plays cannot be read at the moment", ("GET .*/plays", 503)),
        "facts carry the day they were observed on",
    ),
    f"/ui/tracks/{TRACK}": (
        shows("You have not played it", NO_PLAYS),
        shows("Your plays cannot be read at the moment", ("GET .*/plays", 503), (ALIKE, 503)),
        "facts carry the day they were observed on",
    ),
    "/ui/stations?mood=calm": (
        shows("Nothing fits all of it", ("GET /v1/stations", {
            "seeds": {}, "tracks": [], "next_offset": None, "degraded": False, "hint": None})),
        shows("the order is the same for everybody"),
        LIVE,
    ),
    "/ui/connect": (shows("Waiting for a play"), FIXED, LIVE),
    "/ui/me": (
        shows("No token yet", ("GET /v1/me/tokens", {"tokens": []})),
        shows("Tokens", ("GET .*/relays", 503), ("GET /1/user/.*", 503)),
        LIVE,
    ),
    "/ui/me/erase": (FIXED, FIXED, FIXED),
    "/ui/me/imports": (
        shows("Nothing uploaded yet",
              ("GET .*/imports", {"imports": [], "max_bytes": 1, "formats": []})),
        WHOLE, LIVE,
    ),
    f"/ui/me/imports/{IMPORT}": (
        shows("waits for its turn", (f"GET .*/imports/{IMPORT}", imported(
            "a.json", state="waiting", read_bytes=0, kept=0, dropped={}, rejected={}, formats=[],
            notes=[], examples=[], refused=False))),
        shows("It could not be read", (f"GET .*/imports/{IMPORT}", imported(
            "a.json", state="failed", problem="It could not be read.", reason="unknown-format"))),
        LIVE,
    ),
    f"/ui/why/{TRACK}": (
        shows("As of now", ("GET .*/reasons", {
            "user": "ada", "track_id": TRACK, "artist": "A", "title": "T", "generation": 3,
            "offset": 1, "stranger": True, "score": 0.0, "reasons": []})),
        shows("Not in the list", ("GET .*/reasons", 404)),
        "reasons that were read stay with their list: the browser's test",
    ),
    f"/ui/erasures/{ERASURE}": ("there is a request or a 404", shows("It waits for Air"), LIVE),
    "/ui/keys": (FIXED, FIXED, FIXED),
    "/ui/analytics": (
        shows("No report has been published yet", ("GET /v1/metrics", NEVER),
              ("GET /v1/reports", {"reports": []}), ("GET /v1/runs", {"runs": []})),
        shows("The warehouse is late", ("GET /v1/runs", 503)),
        shows("The warehouse is late"),
    ),
    "/ui/analytics/top-artists": (
        shows("No rows.", ("GET /v1/reports/[^/]+", BARE_REPORT)),
        shows("drawn", ("GET /v1/lineage/.*", 503), ("GET /v1/runs.*", 503)),
        shows("the last one failed or did not run"),
    ),
    "/ui/analytics/model": (
        shows("There is no model yet", ("GET /v1/model", NO_MODEL),
              ("GET /v1/model/history", {"points": []})),
        shows("The history cannot be read at the moment", ("GET /v1/model/history", 503)),
        shows("One point so far", ("GET /v1/model/history", {"points": [quality_point(0)]})),
    ),
    "/ui/analytics/metrics/plays": (
        shows("No figure has been published yet", ("GET /v1/metrics/plays", UNKNOWN)),
        WHOLE, shows("the last one failed or did not run"),
    ),
    "/ui/analytics/experiments": (
        shows("No experiment yet", ("GET /v1/experiments", {"experiments": []})), WHOLE, LIVE,
    ),
    "/ui/analytics/experiments/varied": (
        shows("It has not been started", ("GET /v1/experiments/varied", {
            "experiment": experiment("Air", "draft"), "judged_at": None, "verdict": [],
            "arms": [], "comparisons": []})),
        shows("does not know this experiment yet",
              ("GET /v1/experiments/varied", judged("Air") | {"verdict": [], "comparisons": []})),
        shows("nightly run"),
    ),
    "/ui/analytics/lineage": (
        shows("The nightly run does it.", ("GET /v1/warehouse/models", 404)), WHOLE,
        "each table shows when it was built",
    ),
    "/ui/analytics/lineage/marts.metrics_daily": (
        shows("Nothing else.", ("GET /v1/warehouse/models/[^/]+", BUILT)), WHOLE,
        "it shows when it was built",
    ),
    "/ui/analytics/quality": (
        shows("No nightly run has checked", ("GET /v1/quality", "not-checked")), WHOLE,
        shows("the nightly run is late"),
    ),
    "/ui/ops/runs": (shows("No run yet", ("GET /v1/runs", {"runs": []})), WHOLE, LIVE),
    f"/ui/ops/runs/{RUN}": (
        shows("Steps", (f"GET /v1/runs/{RUN}", BARE_RUN)), WHOLE, "a run is of its day",
    ),
    "/ui/ops": (
        shows("All is well", ("GET /v1/operations", operations(
            dependencies={}, workers=[], disk_total_bytes=None))),
        shows("Redis does not answer"),
        shows("silent for 40 s"),
    ),
    "/ui/ops/dead-letters?all=on": (
        shows("every message was processed", ("GET /v1/dead-letters", {
            "letters": [], "total": 0, "looked_at": 0, "groups": []})), WHOLE, LIVE,
    ),
    f"/ui/ops/dead-letters/{LETTER}": ("there is a letter or a 404", WHOLE, LIVE),
    "/ui/ops/models": (
        shows("No generation yet",
              ("GET /v1/model/generations", {"generations": [], "in_use": None})),
        shows("still reads generation 1"), LIVE,
    ),
    "/ui/ops/catalogue": (
        shows("No pair waits for a decision", ("GET /v1/catalogue/review", {
            "pairs": [], "counts": {"pending": 0, "merge": 0, "distinct": 0},
            "next_offset": None})), WHOLE, LIVE,
    ),
    "/ui/ops/suspects": (
        shows("Nobody is suspect", ("GET /v1/suspects", {"suspects": []})),
        shows("Flink finds suspects", ("GET /v1/suspects", "no-flink")), LIVE,
    ),
    "/ui/ops/lake": (
        shows("holds nothing yet", ("GET /v1/lake", {"tables": []})),
        shows("cannot be read: Air"), LIVE,
    ),
    "/ui/ops/lake/plays": ("there is a table or a 404", WHOLE, LIVE),
    "/ui/ops/audit?verify=1": (
        shows("Nothing has been done yet", ("GET /v1/audit", {"before": None, "rows": []})),
        shows("The trail was changed"), LIVE,
    ),
    "/ui/ops/erasures": (
        shows("No erasure has been requested", ("GET /v1/erasures", {"erasures": []})),
        shows("waits for Air"), LIVE,
    ),
    "/ui/ops/tokens": (shows("No token.", ("GET /v1/tokens", {"tokens": []})), WHOLE, LIVE),
}  # fmt: skip
CASES = [
    pytest.param(address, state, id=f"{name} {address}")
    for address, states in TABLE.items()
    for name, state in zip(("empty", "degraded", "stale"), states, strict=True)
    if isinstance(state, State)
]


def set_up(fake: FakeApi, state: State) -> None:
    """Have the API answer as in a state."""
    for pattern, answer in state.answers:
        if answer == 503:
            fake.refuse(pattern, 503, "unavailable", "Away.")
        elif answer == 404:
            fake.refuse(pattern, 404, "unknown", "Not in the list. The nightly run does it.")
        elif isinstance(answer, str):
            fake.refuse(pattern, 404, answer, "Not there.")
        else:
            fake.on(pattern, answer)


def test_every_page_is_in_the_table() -> None:
    assert set(TABLE) == set(ALL)


@pytest.mark.parametrize(("address", "state"), CASES)
async def test_a_page_says_what_state_it_is_in(address: str, state: State) -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    full(world.fake)
    set_up(world.fake, state)
    answer = await world.client.get(address)
    assert state.words in " ".join(read_whole(answer.text).text.split())


async def test_a_line_over_time_has_gaps_where_nothing_was_judged() -> None:
    world = World()
    await world.sign_in(roles=["analyst"])
    full(world.fake)
    began = int(time.time() * 1000) - 3_600_000
    points = [quality_point(0) | {"at": began + 60_000 * i} for i in (0, 1, 2, 40, 41)]
    world.fake.on("GET /v1/model/history", {"points": points})
    html = (await world.client.get("/ui/analytics/model?period=week")).text
    page = read_whole(html)
    assert "Popularity alone" in page.text
    assert "25.0 % of all plays" in page.text
    drawn = [line.partition('"')[0] for line in html.split('class="line s0" d="')[1:]]
    assert drawn
    assert all(line.count("M") == 2 for line in drawn)  # two pieces: there is a gap
    asked = [r.url.params["from"] for r in world.fake.asked if r.url.path.endswith("/history")]
    assert time.time() - 8 * 86_400 < _seconds(asked[-1]) < time.time() - 6 * 86_400
    assert (await world.client.get("/ui/analytics/model?period=century")).status_code == 200


def _seconds(text: str) -> float:
    return moment(text).timestamp()


async def test_stations_without_a_choice_give_ideas() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    page = read_whole((await world.client.get("/ui/stations")).text)
    assert "/ui/stations?mood=calm" in page.links
    assert "/ui/stations?era=1990s" in page.links
