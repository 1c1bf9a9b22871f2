"""Reasons: in words that fit their sign, off the event loop, one at a time, at their price."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest

from api import fast
from api.listenbrainz.limits import RateWindow
from api.producer import LogRecord
from api.serving import slow
from api.serving.asked import Asked
from api.serving.explain import sentence
from api.serving.lists import rank_one
from api.serving.recommend import price_of
from contracts.errors import StoreUnavailable
from online_model import Recommender
from online_model.features import SOURCES
from tests.api.conftest import World
from tests.blobs import pack_play
from tests.online_model.plays import SMALL, made_up

ADA = {"authorization": "Token ada-token"}
LIST = "/v1/users/ada/recommendations"


def document(key: int) -> bytes:
    track = {"track_id": f"t/{key}", "artist": f"A{key % 7}", "title": f"T{key}"}
    return json.dumps(track).encode()


@pytest.fixture(scope="module")
def learned() -> Recommender:
    from contracts.ids import id_key

    model = Recommender(SMALL)
    model.learn_plays(*made_up(3_000))
    for key in range(1000, 1060):
        model.register_track(key, id_key=id_key(f"t/{key}"), document=document(key))
    model.register_track(5, id_key=id_key("never-played"), document=document(5))
    return model


@pytest.fixture
def serving(world: World, learned: Recommender, monkeypatch: pytest.MonkeyPatch) -> list[LogRecord]:
    """Give the application a model and a listener with plays; return what it logs."""
    logged: list[LogRecord] = []
    plays = (pack_play(learned.clock - 100 * (30 - k), 1000 + k, 90, 0) for k in range(30))
    blob = bytes([1, 0, 0, 0]) + b"".join(plays)

    class Log:
        def offer(self, record: LogRecord) -> bool:
            logged.append(record)
            return True

    async def get_many(user_ids: Sequence[str]) -> list[bytes | None]:
        return [blob for _ in user_ids]

    monkeypatch.setattr(world.services.impressions, "offer", Log().offer)
    monkeypatch.setattr(world.services.features, "get_many", get_many)
    monkeypatch.setattr(world.services.model, "reader", learned)
    monkeypatch.setattr(time, "time", lambda: float(learned.clock + 5))
    return logged


async def test_the_reasons_of_a_list_add_up(
    client: httpx.AsyncClient, serving: list[LogRecord]
) -> None:
    answer = (await client.get(LIST, headers=ADA, params={"explain": "true", "limit": 60})).json()
    plain = (await client.get(LIST, headers=ADA, params={"limit": 60})).json()
    assert [t["track_id"] for t in plain["recommendations"]] == [
        t["track_id"] for t in answer["recommendations"]
    ]
    assert "reasons" not in plain["recommendations"][0]
    assert len(serving) == 2  # both are logged
    named = set()
    for track in answer["recommendations"]:
        given = sum(reason["contribution"] for reason in track["reasons"])
        assert given == pytest.approx(track["score"], abs=2e-4)
        assert track["reasons"][-1]["text"] == "other evidence"
        for reason in track["reasons"][:-1]:
            against = reason["text"].startswith("counts against it")
            assert against == (reason["contribution"] < 0)
            named |= {play["track_id"] for play in reason["plays"]}
    heard = {f"t/{1000 + k}" for k in range(30)}
    assert "t/1029" in named
    assert named <= heard


async def test_one_track_is_explained_as_in_the_list(
    client: httpx.AsyncClient, serving: list[LogRecord]
) -> None:
    listed = (await client.get(LIST, headers=ADA, params={"explain": "true"})).json()
    for shown in listed["recommendations"][:3]:
        answer = await client.get(f"/v1/users/ada/tracks/{shown['track_id']}/reasons", headers=ADA)
        one = answer.json()
        assert answer.status_code == 200
        assert one["reasons"] == shown["reasons"]
        assert one["score"] == pytest.approx(shown["score"], abs=1e-4)
        assert [one[name] for name in ("user", "title", "stranger")] == [
            "ada",
            shown["title"],
            False,
        ]
    assert len(serving) == 1  # an explanation shows nothing new


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("ada/tracks/nobody-knows-it/reasons", 404, "unknown-track"),
        ("ada/tracks/never-played/reasons", 404, "not-proposed"),
        ("ada/tracks/t/1005/reasons?discover=true", 404, "not-proposed"),  # one she had
        ("ada/tracks/t/1005/reasons?discover=perhaps", 400, "bad-parameter"),
        ("bob/tracks/t/1005/reasons", 403, "forbidden"),
        ("a%00b/tracks/t/1005/reasons", 403, "forbidden"),
    ],
)
async def test_what_has_no_reasons_says_why(
    client: httpx.AsyncClient, serving: list[LogRecord], path: str, status: int, code: str
) -> None:
    answer = await client.get(f"/v1/users/{path}", headers=ADA)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_reading_the_reasons_of_another_listener_is_noted(
    world: World,
    client: httpx.AsyncClient,
    serving: list[LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[tuple[str, ...]] = []

    async def note_reading(*row: str) -> None:
        noted.append(row[:2])

    monkeypatch.setattr(world.services.audit, "note_reading", note_reading)
    path = "/v1/users/ada/tracks/t/1031/reasons"
    for token, status in (("ada-token", 200), ("player-token", 200), ("analyst-token", 403)):
        answer = await client.get(path, headers={"authorization": f"Token {token}"})
        assert answer.status_code == status
    assert noted == [("player", "ada")]


async def test_without_its_stores_there_are_no_reasons_but_a_list(
    world: World,
    client: httpx.AsyncClient,
    serving: list[LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def down(_: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("down")

    path = "/v1/users/ada/tracks/t/1031/reasons"
    monkeypatch.setattr(world.services.features, "get_many", down)
    assert (await client.get(path, headers=ADA)).status_code == 503
    listed = (await client.get(LIST, headers=ADA, params={"explain": "true"})).json()
    assert (listed["degraded"], listed["stranger"]) == (True, True)
    monkeypatch.setattr(world.services.model, "reader", None)
    assert (await client.get(path, headers=ADA)).status_code == 503
    listed = (await client.get(LIST, headers=ADA, params={"explain": "true"})).json()
    assert (listed["degraded"], listed["recommendations"]) == (True, [])


@pytest.mark.parametrize("query", ["explain=true", "diversity=0.5"])
async def test_costly_lists_are_made_one_at_a_time_beside_the_loop(
    client: httpx.AsyncClient, serving: list[LogRecord], monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    running, most, threads = 0, 0, set()
    make = rank_one

    def watched(*args: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threads.add(threading.get_ident())
        time.sleep(0.01)
        try:
            return make(*args)
        finally:
            running -= 1

    monkeypatch.setattr("api.serving.slow.rank_one", watched)
    asked = [client.get(f"{LIST}?{query}&limit={5 + n}", headers=ADA) for n in range(8)]
    made = await asyncio.gather(*asked)
    assert [len(answer.json()["recommendations"]) for answer in made] == list(range(5, 13))
    assert most == 1
    assert threads.isdisjoint({threading.get_ident()})


async def test_more_than_may_wait_are_refused(
    client: httpx.AsyncClient, serving: list[LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "MOST_WAITING", 3)
    asked = [client.get(f"{LIST}?explain=true", headers=ADA) for _ in range(12)]
    made = await asyncio.gather(*asked)
    statuses = [answer.status_code for answer in made]
    assert statuses.count(200) >= 3
    assert statuses.count(503) >= 1
    assert set(statuses) == {200, 503}
    assert (await client.get(f"{LIST}?explain=true", headers=ADA)).status_code == 200


async def test_a_model_that_is_replaced_is_explained_from_then_on(
    world: World,
    client: httpx.AsyncClient,
    serving: list[LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = "/v1/users/ada/tracks/t/1031/reasons"
    assert (await client.get(path, headers=ADA)).status_code == 200
    monkeypatch.setattr(world.services.model, "reader", Recommender(SMALL))
    assert (await client.get(path, headers=ADA)).json()["error"]["code"] == "unknown-track"


async def test_the_fast_path_leaves_costly_lists_to_the_thread(world: World) -> None:
    path = fast.FastPath(world.services)

    class Protocol:
        headers = [(b"authorization", b"Token ada-token")]
        url = b"/v1/users/ada/recommendations?explain=true"

    assert path.take(Protocol(), True) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "price"),
    [
        (b"", 1),
        (b"limit=100", 1),
        (b"limit=100&explain=true", 21),
        (b"explain=true", 5),
        (b"limit=4&explain=true", 1),
        (b"limit=50&diversity=0.1", 11),
        (b"limit=nonsense&explain=true", 1),
    ],
)
def test_the_price_of_a_list(query: bytes, price: int) -> None:
    assert price_of({"query_string": query}) == price


async def test_a_list_with_reasons_counts_for_more_requests(
    world: World,
    client: httpx.AsyncClient,
    serving: list[LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world.app._gate, "_rates", RateWindow(clock=lambda: 1_000_003.0))

    async def remaining(query: str) -> int:
        answer = await client.get(f"{LIST}?{query}", headers=ADA)
        return int(answer.headers["x-ratelimit-remaining"])

    assert await remaining("limit=20") - await remaining("limit=20&explain=true") == 5


def test_evidence_against_a_track_is_no_praise() -> None:
    for source in SOURCES:
        for others in ([], [_because("y")], [_because("y"), _because("z")]):
            praise, blame = sentence(source, 0.5, others), sentence(source, -0.5, others)
            assert blame.startswith("counts against it")
            assert not praise.startswith("counts against it")
            assert source not in (praise, blame)
            if others and source not in ("history", "popularity"):
                assert '"title y" by artist y' in praise
                assert '"title y" by artist y' in blame


def _because(name: str) -> Any:
    from api.serving.explain import Because

    return Because(name, f"artist {name}", f"title {name}", 1.0)


def test_a_costly_list_is_known_by_what_it_asks() -> None:
    assert [a.costly for a in (Asked(), Asked(explain=True), Asked(diversity=0.1))] == [
        False,
        True,
        True,
    ]
    assert np.isclose(Asked().diversity, 0.0)
