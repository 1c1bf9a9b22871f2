"""Bodies that mean harm: an answer each, never a crash, and what was refused is kept."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx
import msgspec
import pytest

from api.listenbrainz.limits import MAX_BODY
from api.plays.letters import KEPT
from contracts.events import DeadLetter, Submission
from tests.api.conftest import World

ADA = {"authorization": "Token ada-token"}
NOW = int(time.time()) - 60
BOTH = ("/v1/plays", "/1/submit-listens")


def listens(artist: str, title: str = "t", **info: Any) -> bytes:
    """Return a submission of one listen."""
    metadata = {"artist_name": artist, "track_name": title, "additional_info": info}
    listen = {"listened_at": NOW, "track_metadata": metadata}
    return json.dumps({"listen_type": "single", "payload": [listen]}).encode()


def plays(artist: str, title: str = "t") -> bytes:
    """Return one play in our own shape."""
    play = {"artist": artist, "title": title, "played_at": NOW * 1000}
    return json.dumps({"plays": [play]}).encode()


#: Texts that are code elsewhere: to us they are names like any other.
NAMES = (
    "Robert'); drop table plays;--",
    "' or '1'='1",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} %s %n",
    "../../../etc/passwd",
    "\u202egnp.exe",
    "\U0001f3b5" * 50,
    "a\r\nX-Injected: 1",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", BOTH)
async def test_code_in_names_is_a_name(
    world: World, client: httpx.AsyncClient, path: str, name: str
) -> None:
    body = plays(name, name) if path == "/v1/plays" else listens(name, name)
    answer = await client.post(path, headers=ADA, content=body)
    assert answer.is_success
    (record,) = world.log.records
    (play,) = msgspec.json.decode(record.value, type=Submission).plays
    assert (play.artist, play.title) == (name, name)
    assert "x-injected" not in answer.headers


#: Whole bodies that nobody can use, by what is wrong with them.
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no json": b"artist=Air&title=x",
    "nan": b'{"listen_type":"single","plays":[NaN],"payload":[{"listened_at":NaN}]}',
    "infinity": b'{"plays":[Infinity],"payload":Infinity}',
    "a lone surrogate": b'{"plays":"\\ud800","payload":"\\ud800"}',
    "bad utf-8": b'{"plays":"\xff","payload":"\xff"}',
    "a byte order mark of UTF-16": b"\xff\xfe{\0}\0",
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "a list at the top": b"[]",
    "no list": b'{"plays":{},"payload":{},"listen_type":"import"}',
    "an empty list": b'{"plays":[],"payload":[],"listen_type":"import"}',
    "a huge number": b'{"plays":1e999,"payload":1e999}',
    "a huge integer": b'{"plays":' + b"9" * 5000 + b',"payload":1}',
    "two documents": b"{}{}",
    "gzip without saying so": gzip.compress(b"{}"),
}


@pytest.mark.parametrize("wrong", BROKEN)
@pytest.mark.parametrize("path", BOTH)
async def test_a_body_refused_whole_is_counted_and_kept(
    world: World, client: httpx.AsyncClient, path: str, wrong: str
) -> None:
    body = BROKEN[wrong]
    answer = await client.post(path, headers=ADA, content=body)
    assert answer.status_code == 400
    (record,) = world.log.records
    letter = msgspec.json.decode(record.value, type=DeadLetter)
    assert (letter.topic, letter.stage, letter.key) == (f"http:{path}", "api-body", b"ada")
    assert letter.reason
    assert (letter.value or b"") == body[:KEPT]
    assert letter.whole_bytes == (len(body) if len(body) > KEPT else None)
    assert (
        f'segue_plays_rejected_total{{reason="{letter.reason}",route="{path}"}}'
        in world.services.metrics.render().decode()
    )


@pytest.mark.parametrize("path", BOTH)
async def test_a_byte_order_mark_before_a_body_is_passed_over(
    world: World, client: httpx.AsyncClient, path: str
) -> None:
    body = b"\xef\xbb\xbf" + (plays("a") if path == "/v1/plays" else listens("a"))
    assert (await client.post(path, headers=ADA, content=body)).is_success
    (record,) = world.log.records
    assert len(msgspec.json.decode(record.value, type=Submission).plays) == 1


@pytest.mark.parametrize("wrong", ["nan", "nothing"])
async def test_while_the_log_is_down_the_mistake_is_still_told(
    world: World, client: httpx.AsyncClient, wrong: str
) -> None:
    world.log.down = True
    answer = await client.post("/1/submit-listens", headers=ADA, content=BROKEN[wrong])
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/plays", 413), ("/1/submit-listens", 400), ("/2.0/", 413)]
)
async def test_one_byte_too_many(
    world: World, client: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await client.post(path, headers=ADA, content=b" " * (MAX_BODY + 1))
    assert answer.status_code == status
    if path != "/2.0/":
        (record,) = world.log.records
        assert msgspec.json.decode(record.value, type=DeadLetter).reason in (
            "too-large",
            "bad-listen",
        )


@pytest.mark.parametrize("path", [*BOTH, "/v1/feedback", "/1/latest-import"])
async def test_a_bomb_is_not_unpacked(client: httpx.AsyncClient, path: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    answer = await client.post(path, headers={**ADA, "content-encoding": "gzip"}, content=bomb)
    assert answer.status_code == 415


@pytest.mark.parametrize("path", BOTH)
async def test_nul_is_refused_and_kept(world: World, client: httpx.AsyncClient, path: str) -> None:
    body = plays("a\x00b") if path == "/v1/plays" else listens("a\x00b")
    answer = await client.post(path, headers=ADA, content=body)
    assert answer.status_code == 400
    assert len(world.log.records) == 1


@pytest.mark.parametrize("path", ["listens", "listen-count", "playing-now"])
async def test_nobody_is_called_nul(client: httpx.AsyncClient, path: str) -> None:
    headers = {"authorization": "Token admin-token"}
    answer = await client.get(f"/1/user/a%00b/{path}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, 404)


@pytest.mark.parametrize("kind", ["list", "object"])
async def test_deep_nesting_inside_a_listen(client: httpx.AsyncClient, kind: str) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep] if kind == "list" else {"a": deep}
    answer = await client.post("/1/submit-listens", headers=ADA, content=listens("a", deep=deep))
    assert answer.status_code == 400


async def test_who_may_not_post_leaves_nothing(world: World, client: httpx.AsyncClient) -> None:
    body = json.dumps({"plays": [{"artist": "a", "title": "b", "played_at": NOW, "user": "bob"}]})
    assert (await client.post("/v1/plays", headers=ADA, content=body)).status_code == 403
    assert (await client.post("/v1/plays", content=BROKEN["nan"])).status_code == 401
    assert world.log.records == []


async def test_one_listen_of_many_that_the_log_cannot_take(
    world: World, client: httpx.AsyncClient
) -> None:
    """On average it is small enough; a 503 would have the client send it for ever."""
    body = json.loads(listens("a", note="x" * 950_000))
    body["listen_type"] = "import"
    body["payload"] += json.loads(listens("b"))["payload"] * 99
    answer = await client.post("/1/submit-listens", headers=ADA, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert "may not be larger than 10240 bytes" in answer.json()["error"]
    (record,) = world.log.records
    assert msgspec.json.decode(record.value, type=DeadLetter).reason == "bad-listen"


async def test_refusals_are_remembered_by_short_names(
    world: World, client: httpx.AsyncClient
) -> None:
    name = "n" * 60_000
    answer = await client.get(f"/v1/users/{name}/recommendations", headers=ADA)
    assert answer.status_code == 403
    remembered = [subject for actor, subject in world.services.audit._noted if actor == "ada"]
    assert any(subject.startswith("nnn") for subject in remembered)
    assert max(map(len, remembered)) < 1_000


async def test_trending_by_tag_while_postgresql_is_away(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/trending?tag=jazz", headers=ADA)
    assert answer.status_code == 503
