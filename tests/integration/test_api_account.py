"""Sessions, tokens, one's own plays and live events, on the whole stack."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher

from contracts.accounts import token_hash
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration


def call(stack: RunningStack, method: str, path: str, token: str, body: Any = None) -> Any:
    """Return an answer of the API."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.request(method, stack.api + path, headers=headers, json=body, timeout=60)


def age_session(stack: RunningStack, token: str, age: timedelta) -> None:
    """Have a session be so old, with one day left."""
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        connection.execute(
            "update tokens set created_at = now() - %s, expires_at = now() + interval '1 day'"
            " where token_hash = %s",
            (age, token_hash(token)),
        )


def days_left(expires_at: str) -> int:
    left = datetime.fromisoformat(expires_at) - datetime.now(UTC)
    return round(left / timedelta(days=1))


def test_a_session_has_the_roles_of_its_token_and_ends_with_it(stack: RunningStack) -> None:
    token = stack.token_for("sue", ("listener", "analyst"))
    made = call(stack, "POST", "/v1/sessions", "", {"token": token})
    assert made.status_code == 201, made.text
    session = made.json()
    assert (session["user"], session["roles"]) == ("sue", ["analyst", "listener"])
    me = call(stack, "GET", "/v1/me", session["token"]).json()
    assert (me["user"], me["label"], me["time_zone"]) == ("sue", "session", "UTC")
    # A token that is no session does not end itself; a session does, at once.
    assert call(stack, "DELETE", "/v1/sessions/current", token).status_code == 409
    assert call(stack, "DELETE", "/v1/sessions/current", session["token"]).status_code == 204
    assert wait_until(lambda: call(stack, "GET", "/v1/me", session["token"]).status_code == 401, 90)
    # A session in use gets more time; a token is no session, and nothing outlives its maker.
    third = call(stack, "POST", "/v1/sessions", "", {"token": token}).json()
    age_session(stack, third["token"], timedelta(days=20))
    longer = call(stack, "POST", "/v1/sessions/current/prolong", third["token"])
    assert days_left(longer.json()["expires_at"]) == 30
    age_session(stack, third["token"], timedelta(days=170))
    longest = call(stack, "POST", "/v1/sessions/current/prolong", third["token"])
    assert days_left(longest.json()["expires_at"]) == 10
    assert call(stack, "POST", "/v1/sessions/current/prolong", token).status_code == 409
    # The end of the token is the end of its sessions.
    second = call(stack, "POST", "/v1/sessions", "", {"token": token}).json()["token"]
    own = call(stack, "GET", "/v1/me", token).json()["token_id"]
    assert call(stack, "DELETE", f"/v1/me/tokens/{own}", token).status_code == 204
    assert wait_until(lambda: call(stack, "GET", "/v1/me", second).status_code == 401, 90)
    assert call(stack, "POST", "/v1/sessions", "", {"token": token}).status_code == 401


def test_a_session_by_password(stack: RunningStack) -> None:
    stack.token_for("pat")
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        connection.execute(
            "update accounts set password_hash = %s where user_id = 'pat'",
            (PasswordHasher().hash("correct horse"),),
        )
    good = call(stack, "POST", "/v1/sessions", "", {"user": "pat", "password": "correct horse"})
    assert good.json()["roles"] == ["listener"]
    tried = [
        call(stack, "POST", "/v1/sessions", "", {"user": "pat", "password": "x"}).status_code
        for _ in range(12)
    ]
    assert set(tried) <= {401, 429}
    assert 401 in tried
    assert call(stack, "POST", "/v1/sessions", "", {"user": "pat"}).status_code == 400


def test_tokens_settings_and_who_may_make_what(stack: RunningStack) -> None:
    token = stack.token_for("tom")
    made = call(stack, "POST", "/v1/me/tokens", token, {"label": "kitchen", "scrobbler": True})
    assert made.status_code == 201, made.text
    listed = call(stack, "GET", "/v1/me/tokens", token).json()["tokens"]
    assert [t["label"] for t in listed if t["scrobbler"]] == ["kitchen"]
    assert call(stack, "GET", "/v1/me", made.json()["token"]).json()["user"] == "tom"
    for body in ({"label": "x", "roles": ["admin"]}, {"label": "x", "user": "sue2"}):
        assert call(stack, "POST", "/v1/me/tokens", token, body).status_code == 403
    assert call(stack, "GET", "/v1/tokens", token).status_code == 403
    other = stack.token_for("ulf")
    theirs = call(stack, "GET", "/v1/me", other).json()["token_id"]
    assert call(stack, "DELETE", f"/v1/me/tokens/{theirs}", token).status_code == 404
    assert call(stack, "DELETE", f"/v1/me/tokens/{theirs}", stack.admin_token).status_code == 204
    wrong = call(stack, "PUT", "/v1/me/settings", token, {"time_zone": "Mars/Olympus"})
    assert wrong.json()["error"]["field"] == "time_zone"
    call(stack, "PUT", "/v1/me/settings", token, {"time_zone": "Asia/Tokyo", "theme": "dark"})
    me = call(stack, "GET", "/v1/me", token).json()
    assert (me["time_zone"], me["theme"]) == ("Asia/Tokyo", "dark")
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        noted = connection.execute(
            "select action from audit where subject in (pseudonym('tom'), pseudonym('ulf'))"
        ).fetchall()
    assert {"key.create", "key.revoke"} <= {action for (action,) in noted}


@contextmanager
def events(stack: RunningStack, user: str, token: str, last: str = "") -> Iterator[Iterator[Any]]:
    """Follow a listener; yields ``(event, id, data)`` of what follows the event ``following``."""
    headers = {"authorization": f"Bearer {token}"} | ({"last-event-id": last} if last else {})
    with httpx.stream(
        "GET", f"{stack.api}/v1/users/{user}/events", headers=headers, timeout=60
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        parsed = _parsed(answer.iter_lines())
        assert next(parsed)[0] == "following"
        yield parsed


def _parsed(lines: Iterator[str]) -> Iterator[Any]:
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            key, _, value = line.partition(": ")
            fields[key] = value
        elif not line and "event" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def test_what_happens_to_a_listener_comes_live(stack: RunningStack) -> None:
    token = stack.token_for("eva")
    now = int(time.time() * 1000)
    play = {"artist": "Air", "title": "Run", "played_at": now, "source": "test/1"}
    with events(stack, "eva", token) as stream:
        assert call(stack, "POST", "/v1/plays", token, {"plays": [play]}).status_code == 202
        kind, state, about = next(stream)
        assert (kind, about["artist"], about["source"]) == ("play", "Air", "test/1")
        # The event comes after the fold: the list knows the play already.
        path = "/v1/users/eva/recommendations"
        assert call(stack, "GET", path, token).json()["window"] == state
        # The learner, another process, may learn the track a little later.
        assert wait_until(lambda: not call(stack, "GET", path, token).json()["stranger"], 60)
        bad = play | {"played_at": 5}
        call(stack, "POST", "/v1/plays", token, {"plays": [bad]})
        kind, _, about = next(stream)
        assert kind == "refused"
        assert "2002" in about["detail"]
        call(
            stack, "POST", "/v1/feedback", token, {"kind": "hide", "artist": "Air", "title": "Run"}
        )
        kind, hidden, about = next(stream)
        assert (kind, about["detail"]) == ("feedback", "hide")
        assert hidden != state
    # A returning reader gets an event at once if the window has changed, otherwise none.
    with events(stack, "eva", token, last=state) as stream:
        assert next(stream)[:2] == ("changed", hidden)
    with events(stack, "eva", token, last=hidden) as stream:
        later = play | {"played_at": now + 1000, "title": "Later"}
        call(stack, "POST", "/v1/plays", token, {"plays": [later]})
        assert next(stream)[0] == "play"
    assert httpx.get(
        f"{stack.api}/v1/users/eva/events", timeout=60,
        headers={"authorization": f"Bearer {stack.token_for('other')}"},
    ).status_code == 403  # fmt: skip


def test_one_s_own_plays_are_read_corrected_and_deleted(stack: RunningStack) -> None:
    token = stack.token_for("cor")
    now = int(time.time() * 1000) - 3_600_000
    plays = [
        {"artist": "Air", "title": f"Song {i}", "played_at": now + 1000 * i, "source": "test/1"}
        for i in range(5)
    ]
    call(stack, "POST", "/v1/plays", token, {"plays": plays})
    stack.wait_applied(90, ("history-sink",))

    def listed(query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(
            stack, "GET", f"/v1/users/cor/plays{query}", token
        ).json()["plays"]
        return found

    assert [play["title"] for play in listed()] == [f"Song {i}" for i in (4, 3, 2, 1, 0)]
    assert [play["title"] for play in listed("?q=ong%203")] == ["Song 3"]
    assert not listed("?q=%25")  # a pattern of SQL is a text like any other
    assert call(stack, "GET", "/v1/users/cor/plays?q=%00", token).status_code == 400
    page = call(stack, "GET", "/v1/users/cor/plays?limit=2", token).json()
    rest = httpx.get(
        f"{stack.api}/v1/users/cor/plays", params={"before": page["before"]},
        headers={"authorization": f"Bearer {token}"}, timeout=60,
    ).json()  # fmt: skip
    assert [play["title"] for play in rest["plays"]] == ["Song 2", "Song 1", "Song 0"]
    wrong = listed()[0]
    path = f"/v1/users/cor/plays/{wrong['event_id']}"
    assert call(stack, "PATCH", path, token, {"title": "Song 4"}).status_code == 400
    done = call(stack, "PATCH", path, token, {"title": "La femme d'argent"})
    assert done.status_code == 202, done.text
    assert call(stack, "DELETE", f"/v1/users/cor/plays/{listed()[-1]['event_id']}", token)
    asked = {done.json()["replaces"], listed()[-1]["event_id"]}
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        waiting = connection.execute(
            "select event_id::text from erasures where user_id = 'cor'"
        ).fetchall()
    assert {event for (event,) in waiting} == asked
    stack.wait_applied(90, ("history-sink",))
    assert "La femme d'argent" in [play["title"] for play in listed()]
    other = stack.token_for("nosy")
    assert call(stack, "DELETE", path, other).status_code == 403


def test_no_play_is_lost_between_two_pages(stack: RunningStack) -> None:
    """Plays of one millisecond, as in an import, and a client that asks for what came since."""
    token = stack.token_for("pages")
    second = int(time.time()) - 3_600
    plays = [
        {"artist": "Air", "title": f"Song {i}", "played_at": second * 1000 + 500, "source": "t/1"}
        for i in range(5)
    ] + [{"artist": "Air", "title": "Later", "played_at": (second + 1) * 1000, "source": "t/1"}]
    assert call(stack, "POST", "/v1/plays", token, {"plays": plays}).status_code == 202
    stack.wait_applied(90, ("history-sink",))
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=stack.api, headers=headers, timeout=60) as client:
        titles, before = [], None
        while True:
            query = {"limit": "2"} | ({"before": before} if before else {})
            page = client.get("/v1/users/pages/plays", params=query).json()
            titles += [play["title"] for play in page["plays"]]
            before = page["before"]
            if before is None:
                break
        assert sorted(titles) == ["Later", *(f"Song {i}" for i in range(5))]
        assert titles[0] == "Later"
        pages = [
            client.get(
                "/2.0/", params={"method": "user.getRecentTracks", "user": "pages", "sk": token,
                                 "limit": 2, "page": number, "format": "json"}
            ).json()["recenttracks"]["track"]
            for number in (1, 2, 3)
        ]  # fmt: skip
        assert sorted(track["name"] for page in pages for track in page) == sorted(titles)

        def listened(**bounds: int) -> list[int]:
            found = client.get("/1/user/pages/listens", params=bounds).json()["payload"]["listens"]
            return [listen["listened_at"] for listen in found]

        assert listened(min_ts=second - 1) == [second + 1, *[second] * 5]
        assert listened(min_ts=second) == [second + 1], "a bound is exclusive"
        assert listened(min_ts=second, max_ts=second + 2) == [second + 1]
        assert listened(max_ts=second + 1) == [second] * 5
        assert not listened(max_ts=second)


def test_a_start_is_corrected_within_the_play(stack: RunningStack) -> None:
    """The old report and the new one overlap: until the old one is deleted they are one play."""
    token = stack.token_for("late")
    mbid = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"
    start = (int(time.time()) - 3_600) * 1000
    play = {
        "artist": "Air", "title": "Run", "played_at": start, "ms_played": 200_000,
        "duration_ms": 250_000, "recording_mbid": mbid, "source": "test/1",
    }  # fmt: skip
    assert call(stack, "POST", "/v1/plays", token, {"plays": [play]}).status_code == 202
    stack.wait_applied(90, ("history-sink",))

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(stack, "GET", "/v1/users/late/plays", token).json()[
            "plays"
        ]
        return found

    (old,) = listed()
    body = {"played_at": start + 30_000}
    done = call(stack, "PATCH", f"/v1/users/late/plays/{old['event_id']}", token, body)
    assert done.status_code == 202, done.text
    stack.wait_applied(90)
    assert [play["event_id"] for play in listed()] == [old["event_id"]]
    stack.finish_erasures()
    (new,) = listed()
    assert new["event_id"] == done.json()["event_id"]
    assert (new["track_id"], new["ms_played"], new["duration_ms"]) == (mbid, 200_000, 250_000)
    count = call(stack, "GET", "/1/user/late/listen-count", token).json()["payload"]["count"]
    assert count == 1


def test_an_artist_is_hidden_and_shown_again(stack: RunningStack) -> None:
    token = stack.token_for("hal")
    now = int(time.time() * 1000) - 3_600_000
    plays = [
        {"artist": "Hal's Band", "title": f"Track {i}", "played_at": now + 1000 * i}
        for i in range(4)
    ] + [{"artist": "Neu!", "title": "Hero", "played_at": now + 9000}]
    call(stack, "POST", "/v1/plays", token, {"plays": plays})
    stack.wait_applied(90, ("history-sink", "listeners", "learner"))
    path = "/v1/users/hal/hidden-artists"
    done = call(stack, "POST", path, token, {"artist": "hal's band"}).json()
    assert done["tracks"] == 4
    stack.wait_applied(90, ("history-sink", "listeners"))
    shown = call(stack, "GET", "/v1/users/hal/recommendations?limit=100", token).json()
    assert "Hal's Band" not in {track["artist"] for track in shown["recommendations"]}
    hidden = call(stack, "GET", "/v1/users/hal/feedback?kind=hide", token).json()
    assert hidden["total"] == 4
    assert (
        call(stack, "POST", f"{path}/undo", token, {"artist": "Hal's Band"}).json()["tracks"] == 4
    )
    stack.wait_applied(90, ("history-sink",))
    assert call(stack, "GET", "/v1/users/hal/feedback", token).json()["total"] == 0
    assert call(stack, "POST", path, token, {"artist": "Nobody At All"}).status_code == 404


@pytest.fixture(scope="module")
def pages(stack: RunningStack) -> Iterator[str]:
    """The address of the pages, on which people sign in."""
    stack.start_worker("web")

    def up() -> bool:
        try:
            return httpx.get(f"{stack.web}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    assert wait_until(up, 90, 0.1)
    yield stack.web
    stack.stop("web")


@contextmanager
def signed_in(pages: str, token: str, address: str) -> Iterator[httpx.Client]:
    """Yield a browser behind a proxy on this machine, which has signed in with a token."""
    headers = {"sec-fetch-site": "same-origin", "x-forwarded-for": f"6.6.6.6, {address}"}
    with httpx.Client(base_url=pages, headers=headers, timeout=90) as browser:
        answer = browser.post("/ui/login", data={"token": token})
        assert answer.status_code == 303, answer.text
        yield browser


def test_the_trail_names_the_address_of_the_browser(stack: RunningStack, pages: str) -> None:
    with signed_in(pages, stack.token_for("ines"), "203.0.113.9"):
        pass
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        rows = connection.execute(
            "select origin from audit where subject = pseudonym('ines')"
            " and action = 'session.create'"
        ).fetchall()
    assert rows == [("203.0.113.9",)]


def test_an_open_tab_ends_with_its_token_and_another_session_stays(
    stack: RunningStack, pages: str
) -> None:
    stays, ends = (stack.token_for("ivan") for _ in range(2))
    own = call(stack, "GET", "/v1/me", ends).json()["token_id"]
    with (
        signed_in(pages, stays, "203.0.113.1") as first,
        signed_in(pages, ends, "203.0.113.2") as second,
        first.stream("GET", "/ui/live") as good,
        second.stream("GET", "/ui/live") as bad,
    ):
        assert call(stack, "DELETE", f"/v1/me/tokens/{own}", ends).status_code == 204
        assert "event: signed-out" in "".join(bad.iter_text())
        play = {"artist": "Air", "title": "Run", "played_at": int(time.time() * 1000) - 60_000}
        assert call(stack, "POST", "/v1/plays", stays, {"plays": [play]}).status_code == 202
        for line in good.iter_lines():
            assert line != "event: signed-out"
            if line == "event: play":
                break
        else:
            pytest.fail("the stream of the session that stays has ended")
