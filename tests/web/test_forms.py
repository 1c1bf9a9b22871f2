"""Forms: an error is shown at its field and typed text stays; nothing happens without a proof."""

from __future__ import annotations

import json
import re
import time
from html import unescape

import httpx
import pytest

from tests.web.answers import EVENT, TRACK, play
from tests.web.doubles import CSRF, ROLES, World, full
from tests.web.markup import read_whole
from web import csrf
from web.app import create_app
from web.routes import ROUTES

MADE = {
    "token": "s",
    "user": "ada",
    "roles": ["listener"],
    "expires_at": "2099-01-01T00:00:00+00:00",
}


def _shown(html: str, name: str) -> str:
    """Return the value a field shows."""
    found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', html)
    assert found, name
    return found.group(1)


async def test_signing_in_with_a_token_makes_a_session_of_its_own() -> None:
    world = World()
    full(world.fake)
    world.fake.on("POST /v1/sessions", MADE, 201)
    answer = await world.client.post(
        "/ui/login", data={"token": " abc ", "next": "/ui/plays?q=x"},
        headers={"sec-fetch-site": "same-origin"},
    )  # fmt: skip
    assert answer.status_code == 303
    assert answer.headers["location"] == "/ui/plays?q=x"
    assert world.fake.bodies("POST /v1/sessions") == [b'{"token":"abc"}']
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("segue=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    secret = cookie.split("=")[1].split(";")[0]
    assert all(secret not in key for key in world.redis.values)
    assert (await world.client.get("/ui/")).status_code == 200


async def test_the_api_hears_who_signs_in_from_where() -> None:
    """By that address it counts failed logins; a browser cannot choose it."""
    world = World()
    full(world.fake)
    world.fake.refuse("POST /v1/sessions", 401, "unauthorized", "Wrong.")
    headers = {"x-forwarded-for": "6.6.6.6"}
    form = {"user": "ada", "password": "x"}
    browser = httpx.ASGITransport(create_app(world.site), client=("2001:db8::7", 5))
    async with httpx.AsyncClient(transport=browser, base_url="http://pages") as client:
        assert (await client.post("/ui/login", data=form, headers=headers)).status_code == 401
    odd = httpx.ASGITransport(create_app(world.site), client=("no address", 5))
    async with httpx.AsyncClient(transport=odd, base_url="http://pages") as client:
        assert (await client.post("/ui/login", data=form, headers=headers)).status_code == 401
    given = [request.headers.get("x-forwarded-for") for request in world.fake.asked]
    assert given == ["2001:db8::7", None]


async def test_every_call_for_a_visitor_names_the_address() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    for path in ("/ui/", "/ui/plays", "/ui/me/tokens", "/ui/erasures/x"):
        await world.client.get(path)
    await world.post("/ui/me/tokens", {"label": "x"})
    assert len(world.fake.asked) > 5
    assert {r.headers.get("x-forwarded-for") for r in world.fake.asked} == {"127.0.0.1"}


async def test_over_https_the_cookie_is_guarded() -> None:
    world = World(web_url="https://music.example")
    full(world.fake)
    world.fake.on("POST /v1/sessions", MADE, 201)
    answer = await world.client.post("/ui/login", data={"token": "abc"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-segue=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "/ui/\\evil", "/x"])
async def test_signing_in_leads_to_our_own_pages_only(next_: str) -> None:
    world = World()
    full(world.fake)
    world.fake.on("POST /v1/sessions", MADE, 201)
    answer = await world.client.post("/ui/login", data={"token": "abc", "next": next_})
    assert answer.headers["location"] == "/ui/"


async def test_a_wrong_password_is_said_at_the_field() -> None:
    world = World()
    world.fake.refuse(
        "POST /v1/sessions", 401, "unauthorized", "The name or the password is wrong."
    )
    answer = await world.client.post("/ui/login", data={"user": "ada", "password": "x"})
    assert answer.status_code == 401
    page = read_whole(answer.text)
    assert "The name or the password is wrong." in page.text
    assert _shown(answer.text, "user") == "ada"
    assert 'value="x"' not in answer.text
    empty = await world.client.post("/ui/login", data={"user": "ada"})
    assert empty.status_code == 400
    assert "Type the password." in empty.text
    nobody = await world.client.post("/ui/login", data={"user": " ", "password": "x"})
    assert "Type the name." in nobody.text
    world.fake.away = True
    away = await world.client.post("/ui/login", data={"token": "x"})
    assert away.status_code == 503


async def test_a_link_asks_before_it_signs_in() -> None:
    world = World()
    full(world.fake)
    world.fake.on("POST /v1/sessions", MADE, 201)
    keys = world.site.sessions._keys
    world.redis.values[keys.web_link("code")] = b"token-of-ada"
    asked = await world.client.get("/ui/link/code")
    assert "Sign in as ada" in asked.text
    assert "set-cookie" not in asked.headers
    answer = await world.client.post("/ui/link/code", data={"any": "1"})
    assert answer.status_code == 303
    assert world.fake.bodies("POST /v1/sessions") == [b'{"token":"token-of-ada"}']
    unknown = await world.client.get("/ui/link/other")
    assert unknown.status_code == 404
    assert "not known any more" in unknown.text


async def test_signing_out_ends_the_token_too() -> None:
    world = World()
    await world.sign_in()
    world.fake.on("DELETE /v1/sessions/current", httpx.Response(204))
    answer = await world.post("/ui/logout", {})
    assert answer.headers["location"] == "/ui/login?out=1"
    assert world.fake.bodies("DELETE /v1/sessions/current")
    assert not world.redis.values


POSTS = [
    re.sub(r"\(\?P<\w+>[^)]*\)", "x", page.pattern.pattern)
    for page in ROUTES
    if page.method == "POST" and page.role and not page.streamed  # test_imports.py has that one
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({}, {"sec-fetch-site": "same-origin"}),
        ({"csrf": csrf.mask("ff" * 16)}, {"sec-fetch-site": "same-origin"}),
        ({"csrf": csrf.mask(CSRF)}, {"sec-fetch-site": "cross-site"}),
        ({"csrf": csrf.mask(CSRF)}, {"sec-fetch-site": "same-site"}),
        ({"csrf": csrf.mask(CSRF)}, {"origin": "https://evil.example"}),
    ],
)
async def test_a_form_from_elsewhere_does_nothing(
    path: str, form: dict[str, str], headers: dict[str, str]
) -> None:
    world = World()
    await world.sign_in(roles=ROLES)
    answer = await world.client.post(path, data={"any": "1"} | form, headers=headers)
    assert answer.status_code == 403, answer.text
    assert not [r for r in world.fake.asked if r.method != "GET"]


async def test_a_body_that_is_no_form() -> None:
    world = World()
    await world.sign_in()
    for body, kind in (
        (b"{}", "application/json"),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded"),
    ):
        answer = await world.client.post(
            "/ui/feedback", content=body, headers={"content-type": kind}
        )
        assert answer.status_code == 400


async def test_love_and_hide_say_what_they_did() -> None:
    world = World()
    await world.sign_in()
    world.fake.on("POST /v1/feedback", {"accepted": True, "track_id": TRACK}, 202)
    form = {"kind": "hide", "track": TRACK, "title": "Run", "artist": "Air"}
    answer = await world.post("/ui/feedback", form)
    assert answer.status_code == 303
    assert "Hidden" in answer.headers["location"]
    body = json.loads(world.fake.bodies("POST /v1/feedback")[0])
    assert body == {
        "user": "ada",
        "kind": "hide",
        "track_id": TRACK,
        "artist": "Air",
        "title": "Run",
    }
    scripted = await world.post("/ui/feedback", form, **{"hx-request": "true"})
    assert "Hidden: “Run”" in scripted.text
    world.fake.refuse("POST /v1/feedback", 404, "unknown-track", "Name the track.")
    refused = await world.post("/ui/feedback", form, **{"hx-request": "true"})
    assert "Not noted: Name the track." in refused.text
    world.fake.on("POST /v1/feedback", {"accepted": True, "track_id": TRACK}, 202)
    back = await world.post("/ui/feedback", form | {"back": "/ui/taste?kind=hide"})
    assert back.headers["location"].startswith("/ui/taste?kind=hide&said=")
    elsewhere = await world.post("/ui/feedback", form | {"back": "https://evil.example"})
    assert elsewhere.headers["location"].startswith("/ui/?")


async def test_a_play_added_by_hand() -> None:
    world = World()
    await world.sign_in(time_zone="Europe/Berlin")
    full(world.fake)
    results = [{"status": "accepted", "event_id": EVENT}]
    world.fake.on("POST /v1/plays", {"accepted": 1, "rejected": 0, "results": results}, 202)
    form = {"artist": "Air", "title": "Run", "album": "", "at": "2026-07-01T20:15"}
    answer = await world.post("/ui/plays", form)
    assert answer.status_code == 303
    (sent,) = json.loads(world.fake.bodies("POST /v1/plays")[0])["plays"]
    assert sent["played_at"] == 1_782_929_700_000  # 18:15 UTC
    assert sent["user"] == "ada"
    reason = "The play is older than the listener's erasure."
    row = {"status": "rejected", "reason": "erased", "message": reason}
    world.fake.on("POST /v1/plays", {"accepted": 0, "rejected": 1, "results": [row]}, 400)
    refused = await world.post("/ui/plays", form)
    assert refused.status_code == 400
    assert reason in read_whole(refused.text).text
    assert _shown(refused.text, "title") == "Run"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"artist": " "}, "Type the artist."),
        ({"album": "x" * 1001}, "At most 1,000 characters."),
        ({"at": "soon"}, "This is not a date and time"),
        ({"at": "2099-01-01T00:00"}, "This is in the future."),
        ({"at": "1999-01-01T00:00"}, "Plays before October 2002"),
        ({"title": "x" * 1001}, "At most 1,000 characters."),
    ],
)
async def test_a_play_that_makes_no_sense(changed: dict[str, str], said: str) -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    form = {
        "artist": "Air",
        "title": "Run",
        "album": "Premiers",
        "at": "2026-07-01T20:15",
    } | changed
    for path in ("/ui/plays", f"/ui/plays/{EVENT}"):
        answer = await world.post(path, form)
        assert answer.status_code == 400
        page = read_whole(answer.text)
        assert said in page.text
        assert 'aria-invalid="true"' in answer.text
        assert _shown(answer.text, "album") == form["album"]
    assert not world.fake.bodies("(POST|PATCH) .*")


async def test_a_day_that_no_calendar_goes_beyond() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    page = await world.client.get("/ui/plays?day=9999-12-31")
    assert "is not a date" in read_whole(page.text).text


async def test_older_plays_are_of_the_same_day_and_filter() -> None:
    world = World()
    await world.sign_in(time_zone="Europe/Berlin")
    full(world.fake)
    cursor = f"2026-07-01T18:15:00.500000+00:00~{EVENT}"
    found = {"user": "ada", "plays": [play("Air")], "before": cursor}
    world.fake.on("GET /v1/users/ada/plays", found)

    async def next_page(address: str) -> str:
        html = (await world.client.get(address)).text
        link = re.search(r'href="([^"]*)">Older plays', html)
        assert link
        return unescape(link[1])

    second = await next_page("/ui/plays?day=2026-07-01&q=air+%26")
    await next_page(second)
    first, again = (r.url.params for r in world.fake.asked if r.url.path.endswith("/plays"))
    assert first["after"] == again["after"] == "2026-07-01T00:00:00+02:00"
    assert first["before"] == "2026-07-02T00:00:00+02:00"
    assert again["before"] == cursor
    assert first["q"] == again["q"] == "air &"
    assert "day" not in await next_page("/ui/plays?day=soon")
    assert "day" not in await next_page("/ui/plays?q=air")


async def test_correcting_and_deleting_a_play() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    world.fake.on(f"PATCH /v1/users/ada/plays/{EVENT}", {"event_id": "n", "replaces": EVENT}, 202)
    world.fake.on(f"DELETE /v1/users/ada/plays/{EVENT}", httpx.Response(202))
    form = {"artist": "Air", "title": "Run", "album": "", "at": "2026-07-01T20:15:30"}
    assert (await world.post(f"/ui/plays/{EVENT}", form)).status_code == 303
    (sent,) = world.fake.bodies(f"PATCH /v1/users/ada/plays/{EVENT}")
    assert json.loads(sent)["album"] == "", "what is left out stays as it was"
    assert (await world.post(f"/ui/plays/{EVENT}/delete", {})).status_code == 303
    world.fake.refuse(f"PATCH /v1/users/ada/plays/{EVENT}", 400, "same-play", "Nothing to correct.")
    same = await world.post(f"/ui/plays/{EVENT}", form)
    assert same.status_code == 400
    assert "Nothing to correct." in same.text


async def test_tokens_are_shown_once() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    info = {"id": "abcdef012345", "label": "kitchen"}
    world.fake.on("POST /v1/me/tokens", {"token": "very-secret", "info": info}, 201)
    for path in ("/ui/connect", "/ui/me/tokens"):
        answer = await world.post(path, {"label": "kitchen"})
        assert "very-secret" in answer.text
        assert answer.headers["cache-control"] == "no-store"
        read_whole(answer.text)
        empty = await world.post(path, {"label": ""})
        assert empty.status_code == 400
    days = await world.post("/ui/me/tokens", {"label": "kitchen", "days": "never"})
    assert days.status_code == 400
    assert _shown(days.text, "days") == "never"


async def test_settings_are_kept_in_the_session() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    world.fake.on("PUT /v1/me/settings", {"time_zone": "Asia/Tokyo", "theme": "dark"})
    assert (await world.post("/ui/me/settings", {"time_zone": "Asia/Tokyo"})).status_code == 303
    html = (await world.client.get("/ui/")).text
    assert 'data-theme="dark"' in html
    assert "Times in Asia/Tokyo" in html
    world.fake.refuse("PUT /v1/me/settings", 400, "bad-time-zone", "No time zone.", "time_zone")
    assert "No time zone." in (await world.post("/ui/me/settings", {"time_zone": "x"})).text


async def test_nothing_is_erased_without_the_name() -> None:
    world = World()
    await world.sign_in()
    full(world.fake)
    answer = await world.post("/ui/me/erase", {"name": "Ada"})
    assert answer.status_code == 400
    assert "nothing was erased" in answer.text
    assert not world.fake.bodies("DELETE .*")
    world.fake.on("DELETE /v1/users/ada", {"id": EVENT, "status": "x"}, 202)
    done = await world.post("/ui/me/erase", {"name": "ada"})
    assert done.headers["location"] == f"/ui/erasures/{EVENT}"
    assert not world.redis.values


async def test_an_artist_is_hidden_and_the_page_says_what_left() -> None:
    world = World()
    await world.sign_in()
    answer = {"artist": "Air", "tracks": 12}
    world.fake.on("POST /v1/users/ada/hidden-artists(/undo)?", answer, 202)
    form = {"artist": "Air", "title": "Run"}
    said = await world.post("/ui/taste/artist", form, **{"hx-request": "true"})
    assert "12 tracks by Air left your lists" in said.text
    await world.post("/ui/taste/artist", form | {"kind": "undo"})
    assert world.fake.bodies("POST .*/undo")
    world.fake.refuse("POST .*", 404, "unknown-artist", "No track by it is known.")
    refused = await world.post("/ui/taste/artist", form, **{"hx-request": "true"})
    assert "Not noted: No track by it is known." in refused.text


async def test_a_session_in_use_is_prolonged_once_a_day() -> None:
    world = World()
    full(world.fake)
    ends = time.time() + 20 * 86_400
    await world.sign_in(expires=ends, asked=0.0)
    world.fake.on("POST /v1/sessions/current/prolong", MADE)
    answer = await world.client.get("/ui/taste")
    assert "Max-Age=2592000" in answer.headers["set-cookie"]
    (kept,) = [json.loads(value) for value in world.redis.values.values()]
    assert kept["expires"] > ends
    assert "set-cookie" not in (await world.client.get("/ui/taste")).headers
    assert len(world.fake.bodies("POST .*/prolong")) == 1


async def test_a_session_at_its_end_or_of_an_administrator_is_not_prolonged() -> None:
    world = World()
    full(world.fake)
    ends = time.time() + 20 * 86_400
    await world.sign_in(expires=ends, asked=0.0)
    world.fake.refuse("POST .*/prolong", 409, "no-session", "No session.")
    for _ in range(2):
        answer = await world.client.get("/ui/taste")
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert len(world.fake.bodies("POST .*/prolong")) == 1
    await world.sign_in(roles=ROLES, expires=time.time() + 60, asked=0.0)
    await world.client.get("/ui/taste")
    assert len(world.fake.bodies("POST .*/prolong")) == 1


async def test_after_an_ended_session_a_fragment_leads_back_to_its_page() -> None:
    world = World()
    await world.sign_in()
    world.fake.refuse("GET .*", 401, "unauthorized", "Send a valid token.")
    headers = {"hx-request": "true", "hx-current-url": "http://pages/ui/plays?q=x"}
    answer = await world.client.get("/ui/recent", headers=headers)
    assert answer.headers["hx-redirect"] == "/ui/login?next=%2Fui%2Fplays%3Fq%3Dx&ended=1"
