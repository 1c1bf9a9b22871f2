"""POST /v1/plays: what is accepted, refused, and kept."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.auth import Identity
from api.errors import ApiError
from api.plays.parse import parse_plays, read_time
from api.plays.records import PlayRecords
from api.plays.wire import RejectedPlay
from api.producer import MAX_MESSAGE_BYTES
from contracts.dead_letters import REPLAY_HEADER
from contracts.events import DeadLetter, Play, decode_submission
from contracts.ids import event_id, partition_of
from contracts.plays import OLDEST_MS, SKEW_MS
from contracts.topics import Topics
from tests.api.conftest import World

NOW = 1_790_000_000_000
ADA = Identity("ada", frozenset({"listener"}))
PLAYER = Identity("player", frozenset({"client"}))
URL = "/v1/plays"


def play(**changes: Any) -> dict[str, Any]:
    """Return a good play with changes; ``...`` removes a field."""
    good: dict[str, Any] = {"artist": "Air", "title": "Sexy Boy", "played_at": NOW - 1000}
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


def parse(*plays: Any, identity: Identity = ADA) -> Any:
    """Parse a request with these plays."""
    return parse_plays(json.dumps({"plays": plays}).encode(), identity, NOW)


def reason(bad: Any) -> str:
    """Return why a play is refused, beside a good one that must pass."""
    parsed = parse(play(), bad, play(title="Talisman"))
    assert [len(p) for p in parsed.by_listener.values()] == [2]
    refused = parsed.results[1]
    assert isinstance(refused, RejectedPlay)
    assert parsed.refused[0][0] == refused.reason
    assert msgspec.json.decode(parsed.refused[0][2]) == bad
    return refused.reason


def test_a_play_gets_its_ids() -> None:
    parsed = parse(play(isrc="FRZ039800212", spotify_uri="spotify:track:x", session="s"))
    (made,) = parsed.by_listener["ada"]
    assert made.event_id == event_id("ada", NOW - 1000, "AIR", "sexy boy")
    assert made.track_id == "isrc:FRZ039800212"
    assert made.extra == {"isrc": "FRZ039800212", "spotify_uri": "spotify:track:x"}
    assert (made.received_at, made.session_hint) == (NOW, "s")


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (play(artist=...), "bad-schema"),
        (play(title=1), "bad-schema"),
        (play(title=""), "bad-schema"),
        (play(title="x" * 1001), "bad-schema"),
        (play(ms_played=-1), "bad-schema"),
        (play(duration_ms=2_073_600_001), "bad-schema"),
        (play(duration_ms=10**30), "bad-schema"),
        (play(skipped="no"), "bad-schema"),
        (play(played_at=None), "bad-schema"),
        (play(played_at=1.5), "bad-schema"),
        (7, "bad-schema"),
        (None, "bad-schema"),
        (play(note="x" * 20_000, title=1), "too-large"),
        (play(artist="  "), "bad-text"),
        (play(artist="a\x00b"), "bad-text"),
        (play(album="a\x00b"), "bad-text"),
        (play(isrc="a\x00b"), "bad-text"),
        (play(played_at="yesterday"), "bad-time"),
        (play(played_at=OLDEST_MS - 1), "too-old"),
        (play(played_at=1_700_000_000), "too-old"),
        (play(played_at=NOW + SKEW_MS), "future"),
        (play(played_at="2999-01-01T00:00:00Z"), "future"),
    ],
)
def test_one_bad_play_is_refused_alone(bad: Any, word: str) -> None:
    assert reason(bad) == word


def test_times_at_the_edges_are_accepted() -> None:
    assert not parse(play(played_at=OLDEST_MS), play(played_at=NOW + SKEW_MS - 1)).refused


def test_seconds_are_recognised() -> None:
    assert "milliseconds" in parse(play(played_at=1_700_000_000)).results[0].message


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:01+01:00", 1000),
        ("1970-01-01T00:00:01.250", 1250),
        ("1970-01-02", 86_400_000),
    ],
)
def test_iso_times(text: str, ms: int) -> None:
    assert read_time(text) == ms


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad-json"),
        (b"{", "bad-json"),
        (b"[]", "bad-schema"),
        (b"{}", "bad-schema"),
        (b'{"plays":1}', "bad-schema"),
        (b'{"plays":[]}', "empty"),
        (b'{"plays":[' + b"[" * 50_000, "bad-json"),
        (b'{"plays":[{"artist":"\xff"', "bad-json"),
    ],
)
def test_unreadable_bodies(body: bytes, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_plays(body, ADA, NOW)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_too_many_plays() -> None:
    assert len(parse(*[play()] * 1000).results) == 1000
    with pytest.raises(ApiError, match="1001 plays; send at most 1000"):
        parse(*[play()] * 1001)


def test_posting_for_others_needs_a_role() -> None:
    parsed = parse(play(user="bob"), play(), play(user="ada"), identity=PLAYER_LISTENER)
    assert {user: len(plays) for user, plays in parsed.by_listener.items()} == {
        "bob": 1,
        "player": 1,
        "ada": 1,
    }
    with pytest.raises(ApiError) as caught:
        parse(play(), play(user="bob"))
    assert (caught.value.status, caught.value.field) == (403, "plays[1].user")


PLAYER_LISTENER = Identity("player", frozenset({"client", "listener"}))


@pytest.mark.parametrize("user", ["a\nb", " ada", "a\x00b"])
def test_bad_user_names(user: str) -> None:
    assert parse(play(user=user), identity=PLAYER).results[0].reason == "bad-text"


def test_an_analyst_may_not_post() -> None:
    with pytest.raises(ApiError, match="role listener"):
        parse(play(), identity=Identity("eve", frozenset({"analyst"})))


def test_submissions_respect_both_limits() -> None:
    def made(n: int, size: int) -> list[Play]:
        return [
            Play(
                event_id=str(i),
                track_id="t",
                artist="a",
                title="t",
                played_at=NOW,
                received_at=NOW,
                source="s",
                extra={"x": "y" * size},
            )
            for i in range(n)
        ]

    records = PlayRecords(Topics("segue"), 4)
    for plays, messages in ((made(200, 0), 1), (made(201, 0), 2), (made(200, 10_000), 4)):
        out = list(records.of("ada", plays))
        assert len(out) == messages
        assert {r.partition for r in out} == {partition_of("ada", 4)}
        assert all(len(r.value) <= MAX_MESSAGE_BYTES for r in out)
        ids = [p.event_id for r in out for p in decode_submission(r.value).plays]
        assert ids == [p.event_id for p in plays]


def headers(token: str = "ada-token") -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_accepted_and_refused_both_reach_the_log(
    world: World, client: httpx.AsyncClient
) -> None:
    now = int(time.time() * 1000)
    good, bad = play(played_at=now), play(played_at=5)
    answer = await client.post(URL, headers=headers(), json={"plays": [good, bad, good]})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (2, 1)
    assert body["results"][0] == body["results"][2]  # the same play has the same id
    assert body["results"][1]["reason"] == "too-old"
    plays, letter = world.log.records
    assert len(decode_submission(plays.value).plays) == 2
    dead = msgspec.json.decode(letter.value, type=DeadLetter)
    assert (letter.topic, dead.topic, dead.reason) == (
        "segue.dead-letters",
        "http:/v1/plays",
        "too-old",
    )
    assert dead.value is not None
    assert json.loads(dead.value) == bad


@pytest.mark.parametrize(
    ("token", "sent", "letters"),
    [
        ("admin-token", [play(played_at=5)], 0),  # the letter that waits is enough
        ("admin-token", [play(), play(played_at=5)], 1),
        ("ada-token", [play(played_at=5)], 1),
    ],
)
async def test_a_dead_letter_sent_again_is_kept_once(
    world: World, client: httpx.AsyncClient, token: str, sent: list[dict[str, Any]], letters: int
) -> None:
    own = {**headers(token), REPLAY_HEADER: "1"}
    plays = [{**each, "user": "ada"} for each in sent]
    answer = await client.post(URL, headers=own, json={"plays": plays})
    assert answer.status_code == (400 if len(sent) == 1 else 202)
    kept = [each for each in world.log.records if each.topic == "segue.dead-letters"]
    assert len(kept) == letters


async def test_all_refused_is_a_400_with_the_results(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, headers=headers(), json={"plays": [play(played_at=5)]})
    assert answer.status_code == 400
    assert answer.json()["results"][0]["status"] == "rejected"


async def test_log_down_is_a_503_with_retry_after(world: World, client: httpx.AsyncClient) -> None:
    world.log.down = True
    now = int(time.time() * 1000)
    answer = await client.post(URL, headers=headers(), json={"plays": [play(played_at=now)]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["error"]["code"] == "unavailable"


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer x", "Bearer a b", "ada-token"])
async def test_no_good_token(client: httpx.AsyncClient, value: str | None) -> None:
    given_headers = {} if value is None else {"authorization": value}
    answer = await client.post(URL, headers=given_headers, json={"plays": [play()]})
    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"code", "message"}


async def test_body_too_large(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, headers=headers(), content=b"x" * 10_240_001)
    assert answer.status_code == 413


_HOSTILE = (
    st.binary(max_size=200)
    | st.binary(max_size=100).map(lambda b: b'{"plays":[' + b + b"]}")
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(["plays", "artist", "title", "played_at", "user", "album"]), x
            )
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=_HOSTILE, path=st.sampled_from([URL, "/1/submit-listens", "/v1/feedback"]))
async def test_hostile_bodies_never_break_the_server(
    client: httpx.AsyncClient, body: bytes, path: str
) -> None:
    answer = await client.post(path, headers=headers(), content=body)
    assert answer.status_code < 500
    assert answer.headers["content-type"] == "application/json"
