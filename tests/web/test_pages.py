"""Every page in every state, over HTTP and without a browser."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.web.answers import (
    ARTIST,
    ERASURE,
    EVENT,
    IMPORT,
    LETTER,
    RUN,
    TRACK,
    listing,
    operations,
)
from tests.web.doubles import HOSTILE, ROLES, World, full
from tests.web.markup import read, read_whole
from web.routes import ROUTES

#: An address for each page that can be read.
LISTENER = {
    "/ui/": "next",
    "/ui/plays": "history",
    f"/ui/plays/{EVENT}": "play",
    "/ui/stats": "stats",
    "/ui/stats/story/2026-01": "story",
    "/ui/stats/months": "months",
    "/ui/what-if": "what_if",
    "/ui/albums?artist=Air&name=Moon": "album",
    "/ui/taste": "taste",
    "/ui/search?q=air": "search",
    f"/ui/artists/{ARTIST}": "artist",
    f"/ui/tracks/{TRACK}": "track",
    "/ui/stations?mood=calm": "stations",
    "/ui/connect": "connect",
    "/ui/me": "account",
    "/ui/me/erase": "erase",
    "/ui/me/imports": "imports",
    f"/ui/me/imports/{IMPORT}": "import",
    f"/ui/why/{TRACK}": "why",
    f"/ui/erasures/{ERASURE}": "erasure",
    "/ui/keys": "keys",
}
ANALYST = {
    "/ui/analytics": "analytics",
    "/ui/analytics/top-artists": "report",
    "/ui/analytics/model": "model",
    "/ui/analytics/metrics/plays": "metric",
    "/ui/analytics/experiments": "experiments",
    "/ui/analytics/experiments/varied": "experiment",
    "/ui/analytics/lineage": "lineage",
    "/ui/analytics/lineage/marts.metrics_daily": "lineage_node",
    "/ui/analytics/quality": "quality",
    "/ui/ops/runs": "runs",
    f"/ui/ops/runs/{RUN}": "run",
}
ADMIN = {
    "/ui/ops": "ops",
    "/ui/ops/dead-letters?all=on": "letters",
    f"/ui/ops/dead-letters/{LETTER}": "letter",
    "/ui/ops/models": "models",
    "/ui/ops/catalogue": "review",
    "/ui/ops/suspects": "suspects",
    "/ui/ops/lake": "lake",
    "/ui/ops/lake/plays": "lake_table",
    "/ui/ops/audit?verify=1": "audit",
    "/ui/ops/erasures": "erasures",
    "/ui/ops/tokens": "tokens",
}
ALL = {**LISTENER, **ANALYST, **ADMIN}
#: Pages that nobody need have signed in for.
OPEN = ("/ui/keys", f"/ui/erasures/{ERASURE}")
FRAGMENTS = (
    "/ui/me/imports",
    f"/ui/me/imports/{IMPORT}",
    "/ui/list",
    "/ui/recent",
    f"/ui/why/{TRACK}",
    "/ui/search?q=air",
)


def test_every_page_that_can_be_read_is_in_these_tests() -> None:
    """A new page must be added above."""
    others = {
        "/ui/login", "/ui/link/x", "/ui/list", "/ui/list.jspf", "/ui/list.m3u", "/ui/recent",
        "/ui/me/export", "/ui/live", "/ui/ops/live", "/ui/analytics/top-artists/data.csv",
        f"/ui/me/imports/{IMPORT}/refused", "/ui/stats/story/2026/1.svg",
    }  # fmt: skip
    paths = [address.partition("?")[0] for address in (*ALL, *others)]
    for page in ROUTES:
        if page.method == "GET":
            assert any(page.pattern.fullmatch(path) for path in paths), page.pattern.pattern


@pytest.mark.parametrize("address", ALL)
async def test_full(address: str) -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    full(world.fake)
    answer = await world.client.get(address)
    assert answer.status_code == 200, answer.text
    page = read_whole(answer.text)
    for attributes, fields in page.forms:
        if attributes.get("method") == "post":
            assert "csrf" in fields, attributes
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("address", FRAGMENTS)
async def test_fragments_are_no_whole_pages(address: str) -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    answer = await world.client.get(address, headers={"hx-request": "true"})
    assert answer.status_code == 200
    read(answer.text)
    assert "<html" not in answer.text


@pytest.mark.parametrize("address", ALL)
async def test_hostile_names_stay_text(address: str) -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    full(world.fake, HOSTILE * 10)
    answer = await world.client.get(address)
    assert answer.status_code == 200, answer.text
    read_whole(answer.text)
    assert "<img" not in answer.text


@pytest.mark.parametrize(
    "address", [a for a in ALL if a not in ("/ui/connect", "/ui/keys", "/ui/me/erase")]
)
async def test_the_api_is_away(address: str) -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    world.fake.away = True
    answer = await world.client.get(address)
    if "/why/" in address:
        assert "does not answer" in answer.text
        return
    assert answer.status_code == 503
    page = read_whole(answer.text)
    assert "Plays are safe" in page.text
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("address", [a for a in ALL if a not in OPEN])
async def test_nobody_has_signed_in(address: str) -> None:
    world = World()
    full(world.fake)
    answer = await world.client.get(address)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/ui/login?next=%2Fui")
    assert not world.fake.asked or "/ui/erasures" in address


@pytest.mark.parametrize("address", LISTENER)
async def test_a_role_is_missing(address: str) -> None:
    world = World()
    await world.sign_in(roles=["client"])
    full(world.fake)
    answer = await world.client.get(address)
    if address == "/ui/keys" or "/erasures/" in address:
        assert answer.status_code == 200
        return
    assert answer.status_code == 403
    page = read_whole(answer.text)
    assert "listener" in page.text
    assert "/ui/plays" not in page.links


@pytest.mark.parametrize("address", ["/ui/", "/ui/plays", "/ui/me", "/ui/taste"])
async def test_the_session_has_ended_in_the_middle(address: str) -> None:
    world = World()
    await world.sign_in()
    world.fake.refuse("GET .*", 401, "unauthorized", "Send a valid token.")
    answer = await world.client.get(address)
    assert answer.status_code == 303
    assert "ended=1" in answer.headers["location"]
    assert world.site.cookie in answer.headers["set-cookie"]
    assert not world.redis.values
    await world.sign_in()
    scripted = await world.client.get(address, headers={"hx-request": "true"})
    assert scripted.headers["hx-redirect"].startswith("/ui/login")


async def test_too_many_requests_say_when_it_goes_on() -> None:
    world = World()
    await world.sign_in()
    error = {"error": {"code": "rate-limit", "message": "Too many."}}
    world.fake.on("GET .*", httpx.Response(429, json=error, headers={"retry-after": "7"}))
    answer = await world.client.get("/ui/taste")
    assert answer.status_code == 429
    assert "7 seconds" in read_whole(answer.text).text


async def test_redis_is_away() -> None:
    world = World()
    await world.sign_in()
    world.redis.down = True
    answer = await world.client.get("/ui/")
    assert answer.status_code == 503
    assert "Plays are safe" in answer.text


async def test_what_next_states() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    said = {
        ("stranger",): "no play of ada is known yet",
        ("degraded", "stranger"): "Popular tracks only",
        ("degraded",): "Your latest plays may not count here yet",
    }
    for states, text in said.items():
        world.fake.on("GET .*/recommendations", listing("Air", **dict.fromkeys(states, True)))
        assert text in (await world.client.get("/ui/")).text
    world.fake.on("GET .*/recommendations", listing("Air", recommendations=[]))
    page = read_whole((await world.client.get("/ui/?discover=on")).text)
    assert "played or hidden every known track" in page.text


@pytest.mark.parametrize("page", ["/ui/taste", "/ui/search?q=air", "/ui/ops/catalogue"])
async def test_an_odd_offset_is_the_first_page(page: str) -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    full(world.fake)
    for text, offset in (("20", "20"), ("\u00b2", "0"), ("-1", "0"), ("9" * 20, "0")):
        answer = await world.client.get(page, params={**httpx.URL(page).params, "offset": text})
        assert answer.status_code == 200, text
        asked = [r.url.params for r in world.fake.asked if "offset" in r.url.params]
        assert asked[-1]["offset"] == offset, text


async def test_a_track_of_which_nothing_can_be_read_is_not_missing() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    world.fake.refuse("GET /v1/tracks/[^/]+", 404, "unknown", "No such track.")
    world.fake.refuse("GET .*/plays", 503, "unavailable", "Away.")
    answer = await world.client.get(f"/ui/tracks/{TRACK}")
    assert answer.status_code == 503
    assert "Your plays cannot be read." in answer.text


async def test_a_track_that_exploration_drew_is_marked() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    html = (await world.client.get("/ui/")).text
    page = read_whole(html)
    assert "1 track chosen by exploration" in page.text
    assert "with a probability of 0.04 %" in page.text
    assert html.count('class="drawn"') == 1
    usual = [{"track_id": TRACK, "artist": "B", "title": "C", "score": 1}]
    world.fake.on("GET .*/recommendations", listing("Air", recommendations=usual))
    assert "exploration" not in (await world.client.get("/ui/")).text


async def test_the_last_list_stays_while_the_api_is_away() -> None:
    world = World()
    await world.sign_in()
    full(world.fake, "Moon Safari")
    await world.client.get("/ui/")
    world.fake.away = True
    answer = await world.client.get("/ui/")
    assert answer.status_code == 200
    page = read_whole(answer.text)
    assert "Moon Safari" in page.text
    assert "The API does not answer" in page.text


async def test_controls_reach_the_api_and_nonsense_does_not() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    await world.client.get("/ui/?length=50&variety=0.3&discover=on")
    asked = [r.url.params for r in world.fake.asked if r.url.path.endswith("/recommendations")]
    assert dict(asked[-1]) == {"limit": "50", "discover": "true", "diversity": "0.3"}
    await world.client.get("/ui/?length=9999&variety=nan")
    asked = [r.url.params for r in world.fake.asked if r.url.path.endswith("/recommendations")]
    assert dict(asked[-1]) == {"limit": "20", "discover": "false", "diversity": "0.0"}


async def test_the_list_to_take_along() -> None:
    world = World()
    await world.sign_in()
    full(world.fake, "A\nB/C")
    playlist = (await world.client.get("/ui/list.jspf")).json()["playlist"]
    assert playlist["track"][1]["title"] == "C"
    lines = (await world.client.get("/ui/list.m3u")).text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert "#EXTINF:-1,A B/C - A B/C" in lines


async def test_empty_pages_say_what_to_do() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    world.fake.on("GET .*/plays", {"user": "ada", "plays": [], "before": None})
    world.fake.on("GET .*/feedback", {"user": "ada", "total": 0, "feedback": []})
    assert "Connect a player" in read_whole((await world.client.get("/ui/plays")).text).text
    assert "No play matches" in (await world.client.get("/ui/plays?q=x")).text
    assert "Nothing loved yet" in (await world.client.get("/ui/taste")).text


async def test_what_the_catalogue_lacks_is_told_from_the_history() -> None:
    world = World()
    await world.sign_in()
    full(world.fake, "Unheard Of")
    world.fake.refuse("GET /v1/(tracks|artists)/.*", 404, "unknown", "Not there.")
    track = read_whole((await world.client.get(f"/ui/tracks/{TRACK}")).text)
    assert "from your history" in track.text
    artist = read_whole((await world.client.get(f"/ui/artists/{ARTIST}?name=Unheard Of")).text)
    assert "from your history" in artist.text
    world.fake.on("GET .*/plays", {"user": "ada", "plays": [], "before": None})
    missing = await world.client.get(f"/ui/tracks/{TRACK}")
    assert missing.status_code == 404
    assert "/ui/search" in missing.text


async def test_an_address_of_nothing() -> None:
    world = World()
    await world.sign_in()
    answer = await world.client.get("/ui/nowhere")
    assert answer.status_code == 404
    read_whole(answer.text)
    assert (await world.client.get("/")).headers["location"] == "/ui/"
    assert (await world.client.post("/ui/keys", data={})).status_code == 405


async def test_another_listeners_pages_are_for_administrators_and_say_so() -> None:
    world = World()
    await world.sign_in("ada", ["listener"])
    full(world.fake)
    assert (await world.client.get("/ui/as/eve/")).status_code == 403
    await world.sign_in("root", ROLES)
    answer = await world.client.get("/ui/as/eve%2Fx/plays")
    page = read_whole(answer.text)
    assert "You are looking at the pages of eve/x" in page.text
    assert "audit trail" in page.text
    assert "/ui/as/eve%2Fx/taste" in page.links
    asked = [r.url.raw_path.decode() for r in world.fake.asked]
    assert any(path.startswith("/v1/users/eve%2Fx/plays") for path in asked)


async def test_files_are_kept_for_ever_and_named_by_their_content() -> None:
    world = World()
    html = (await world.client.get("/ui/login")).text
    for name in ("ui.css", "ui.js", "htmx.js", "favicon.svg"):
        found = re.search(rf"/ui/static/{re.escape(name)}\?v=\w+", html)
        assert found, name
        answer = await world.client.get(found.group(), headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
    assert (await world.client.get("/ui/static/../main.py")).status_code == 404
    scripts = sum(
        len(asset.packed) for name in ("ui.css", "ui.js", "htmx.js", "favicon.svg")
        if (asset := world.site.assets.find(name))
    )  # fmt: skip
    assert scripts < 32 * 1024


@pytest.mark.parametrize("address", [*ANALYST, *ADMIN])
async def test_a_listener_sees_no_analytics_and_no_console(address: str) -> None:
    world = World()
    await world.sign_in(roles=["listener"])
    full(world.fake)
    answer = await world.client.get(address)
    assert answer.status_code == 403
    page = read_whole(answer.text)
    assert not [link for link in page.links if "/ui/ops" in link or "/ui/analytics" in link]
    assert not world.fake.asked


async def test_the_console_says_in_a_sentence_how_it_is() -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    full(world.fake)
    page = read_whole((await world.client.get("/ui/ops")).text)
    assert "Redis does not answer: lists are popular tracks, plays are safe" in page.text
    assert "learner silent for 40 s" in page.text
    assert "unknown: it does not report" in page.text  # not zero
    world.fake.on("GET /v1/operations", operations(dependencies={"kafka": "ok"}, workers=[]))
    assert "All is well" in (await world.client.get("/ui/ops")).text


async def test_reports_none_late_and_of_an_edition() -> None:
    world = World()
    await world.sign_in(roles=["analyst"])
    full(world.fake)
    late = read_whole((await world.client.get("/ui/analytics/top-artists")).text)
    assert "the last one failed or did not run" in late.text
    old = read_whole((await world.client.get("/ui/analytics/top-artists?edition=2026-01-01")).text)
    assert "did not run" not in old.text
    assert (await world.client.get("/ui/analytics/top-artists?edition=now")).status_code == 404
    asked = [r.url.params.get("edition") for r in world.fake.asked]
    assert "2026-01-01" in asked
    bare = {"report": "x", "title": "X", "summary": "", "generated_at": "2026-01-01", "tables": {}}
    world.fake.on("GET /v1/reports/x", bare)
    read_whole((await world.client.get("/ui/analytics/x")).text)
    columns = [
        {"key": "date", "label": "Date", "form": ""},
        {"key": "skip_rate", "label": "Skip rate", "form": "percent"},
        {"key": "hours", "label": "Hours heard", "form": "tenths"},
    ]
    bare |= {
        "tables": {"days": [{"date": "2026-11-27", "skip_rate": 0.1433, "hours": 1286.6}]},
        "layout": {"days": {"title": "By day", "columns": columns}},
    }
    world.fake.on("GET /v1/reports/x", bare)
    text = read_whole((await world.client.get("/ui/analytics/x")).text).text
    assert all(words in text for words in ("By day", "Skip rate", "14.3 %", "1,286.6"))
    world.fake.on("GET /v1/reports", {"reports": []})
    empty = read_whole((await world.client.get("/ui/analytics")).text)
    assert "segue nightly" in empty.text


async def test_statistics_of_nonsense_and_of_nothing() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    wrong = await world.client.get("/ui/stats?from=yesterday&to=2026-01-01")
    assert wrong.status_code == 400
    assert "is not a day" in read_whole(wrong.text).text
    world.fake.refuse("GET .*/stats", 400, "bad-period", "The period ends before it begins.", "to")
    refused = await world.client.get("/ui/stats?from=2026-02-01&to=2026-01-01")
    assert refused.status_code == 400
    assert "ends before it begins" in read_whole(refused.text).text
    for period in ("soon", "9999", "9999-12"):
        assert (await world.client.get(f"/ui/stats/story/{period}")).status_code == 404


async def test_tokens_of_everybody_are_made_with_roles() -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    full(world.fake)
    none = await world.post("/ui/ops/tokens", {"user": "eve", "label": "x"})
    assert none.status_code == 400
    assert "Choose at least one role." in none.text
    info = {"label": "x", "user": "eve"}
    world.fake.on("POST /v1/me/tokens", {"token": "secret", "info": info}, 201)
    form = {"user": "eve", "label": "x", "role-analyst": "on"}
    made = await world.post("/ui/ops/tokens", form)
    assert "secret" in made.text
    assert b'"roles":["analyst"]' in world.fake.bodies("POST .*")[0]
