"""Lists made in batches: what is answered is what is logged, one bad listener spoils no other."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest

from api.producer import LogRecord
from api.serving import desk, slow
from api.serving.asked import Asked
from api.serving.desk import Desk
from api.serving.impressions import ImpressionLog
from api.serving.known import KnownTracks
from api.serving.lists import ListParts, impression_ids, rank
from api.serving.slow import SlowLists
from contracts.features import Listener, window_id
from contracts.impressions import decode
from online_model import FEATURE_NAMES, Recommender
from online_model.state import GENERATION
from tests.api.conftest import World
from tests.blobs import pack_play
from tests.online_model.plays import SMALL, made_up


def document(name: str) -> bytes:
    return json.dumps({"track_id": name, "artist": "A", "title": name.upper()}).encode()


@pytest.fixture(scope="module")
def learned() -> Recommender:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(3_000))
    for key in range(1000, 1060):
        model.register_track(key, document=document(f"t{key}"))
    return model


def blob(model: Recommender, plays: int, first: int = 1000) -> bytes:
    listened = (
        pack_play(model.clock - 200 * (plays - k), first + k % 60, 90, 0) for k in range(plays)
    )
    return bytes([1, 0, 0, 0]) + b"".join(listened)


class Logged:
    """Takes impressions instead of Kafka."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def offer(self, record: LogRecord) -> bool:
        self.records.append(record)
        return True


@pytest.fixture
def logged(world: World, learned: Recommender, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Give the application a model, and a store whose content depends on the listener's name."""
    log = Logged()

    async def get_many(user_ids: Sequence[str]) -> list[bytes | None]:
        held = {"stranger": None, "torn": b"\x01\x00\x00\x00?", "old": b"\x00" * 4}
        return [held.get(u, blob(learned, len(u))) for u in user_ids]

    monkeypatch.setattr(world.services, "impressions", log)
    monkeypatch.setattr(world.services.features, "get_many", get_many)
    monkeypatch.setattr(world.services.model, "reader", learned)
    return log


def desk_of(world: World) -> Desk:
    services = world.services
    shown = ImpressionLog(services.impressions, services.topics.impressions, 4)
    degraded = services.metrics.degraded
    return Desk(ListParts(services.features, services.model, shown, degraded, 0.0))


async def test_what_is_answered_is_what_is_logged(
    world: World, logged: Logged, learned: Recommender
) -> None:
    users = ["ada", "bob-the-listener", "stranger"]
    asked = [Asked(5), Asked(7, discover=True), Asked()]
    lists = desk_of(world)
    made = await asyncio.gather(*map(lists.ask, users, asked))
    assert len(logged.records) == 3
    for user, a, body, record in zip(users, asked, made, logged.records, strict=True):
        answer, seen = json.loads(body), decode(record.value)
        assert (answer["user"], record.key) == (user, user.encode())
        assert answer["impression_id"] == seen.impression_id
        assert UUID(seen.impression_id).version == 4
        assert answer["window"] == window_id(
            None if user == "stranger" else blob(learned, len(user))
        )
        assert answer["stranger"] == (user == "stranger")
        assert not answer["degraded"]
        shown = answer["recommendations"]
        assert 0 < len(shown) <= a.limit
        assert [t["track_id"] for t in shown] == seen.tracks
        assert seen.mode == ("discover" if a.discover else "next")
        numbers = seen.matrix()
        assert numbers.shape == (len(shown), 2 + len(FEATURE_NAMES))
        assert [t["score"] for t in shown] == pytest.approx(numbers[:, 0].tolist(), rel=1e-5)
        assert set(numbers[:, 1].tolist()) == {1.0}


async def test_one_torn_blob_spoils_no_other(world: World, logged: Logged) -> None:
    lists = desk_of(world)
    users = ["ada", "torn", "old", "bob"]
    made = await asyncio.gather(*(lists.ask(user, Asked(4)) for user in users))
    answers = [json.loads(body) for body in made]
    assert [a["degraded"] for a in answers] == [False, True, True, False]
    assert [a["stranger"] for a in answers] == [False, True, True, False]
    assert all(a["recommendations"] for a in answers)
    assert [decode(r.value).degraded for r in logged.records] == [False, True, True, False]


async def test_windows_that_stand_still_degrade_lists_and_are_used_all_the_same(
    world: World, logged: Logged
) -> None:
    services, stale = world.services, [True]
    counted: list[str] = []
    shown = ImpressionLog(services.impressions, services.topics.impressions, 4)
    parts = ListParts(
        services.features,
        services.model,
        shown,
        counted.append,
        0.0,
        is_stale=lambda user: user == "ada" and stale[0],
    )
    lists, slow = Desk(parts), SlowLists(parts, world.home)
    for make in (lists.ask, slow.list):
        answers = []
        for stale[0] in (True, False):
            answers.append(json.loads(await make("ada", Asked(5))))
        assert [a["degraded"] for a in answers] == [True, False]
        old, new = ([t["track_id"] for t in a["recommendations"]] for a in answers)
        assert old == new
        assert not answers[0]["stranger"]
    assert counted == ["stale", "stale"]
    slow.close()


async def test_more_than_one_batch_and_clients_that_leave(world: World, logged: Logged) -> None:
    lists = desk_of(world)
    waiting = [lists.ask(f"user{n}", Asked(1 + n % 9)) for n in range(2 * desk.MOST + 5)]
    waiting[3].cancel()
    made = await asyncio.gather(*waiting, return_exceptions=True)
    names = [json.loads(m)["user"] for m in made if isinstance(m, bytes)]
    assert names == [f"user{n}" for n in range(len(waiting)) if n != 3]
    assert json.loads(await lists.ask("ada", Asked(1)))["user"] == "ada"  # the desk opens again


async def test_nobody_is_left_waiting_whenever_they_come(
    world: World, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that arrive just as a batch starts, waits or ends are all answered."""
    lists = desk_of(world)
    pauses = iter(range(10**6))

    async def get_many(user_ids: Sequence[str]) -> list[bytes | None]:
        for _ in range(next(pauses) % 4):
            await asyncio.sleep(0)
        return [None] * len(user_ids)

    monkeypatch.setattr(world.services.features, "get_many", get_many)

    async def client(number: int) -> None:
        for turn in range(40):
            for _ in range((number * 7 + turn) % 5):
                await asyncio.sleep(0)
            await lists.ask(f"user{number}", Asked(1))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(client, range(5)))


async def test_a_list_that_waits_while_the_model_changes_names_the_one_it_was_made_by(
    world: World, logged: Logged, learned: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is busy; the reader changes over to another model; then the list is made."""
    live, other = Recommender(SMALL, learned.state), Recommender(SMALL)
    other.learn_plays(*made_up(500))
    other.state.counters[GENERATION] = learned.generation + 1
    monkeypatch.setattr(world.services.model, "reader", live)
    services = world.services
    shown = ImpressionLog(services.impressions, services.topics.impressions, 4)
    parts = ListParts(services.features, services.model, shown, lambda _: None, 0.0)
    slow = SlowLists(parts, world.home)
    gate = threading.Event()
    busy = asyncio.ensure_future(slow.run(live, lambda *_: gate.wait(30)))
    waiting = asyncio.ensure_future(slow.list("ada", Asked(5, explain=True)))
    while slow._waiting < 2:
        await asyncio.sleep(0.01)
    live.adopt(other.settings, other.state)
    gate.set()
    assert await busy
    answer = json.loads(await waiting)
    assert answer["generation"] == learned.generation
    assert [t["track_id"][0] for t in answer["recommendations"]] == ["t"] * 5
    assert decode(logged.records[-1].value).generation == answer["generation"]
    again = json.loads(await slow.list("ada", Asked(5, explain=True)))
    assert again["generation"] == other.generation
    slow.close()


def test_explained_and_varied_lists_mix_with_plain_ones(learned: Recommender) -> None:
    asked = [Asked(6), Asked(6, explain=True), Asked(6, diversity=0.6), Asked(6, discover=True)]
    blobs = [blob(learned, 40)] * 4
    ids = impression_ids(4)
    plain, explained, varied, new = rank(learned, asked, blobs, ids, learned.clock + 9, 0.0)
    assert plain.indices.tolist() == explained.indices.tolist()
    assert plain.scores.tobytes() == explained.scores.tobytes()
    assert explained.reasons
    assert not plain.reasons
    assert varied.indices.tolist() != plain.indices.tolist()
    heard = set(learned.lookup(Listener.unpack(blobs[0]).tracks).tolist())
    assert heard.isdisjoint(new.indices.tolist())


def test_exploration_is_drawn_by_the_impression(learned: Recommender) -> None:
    window = Listener.unpack(blob(learned, 40))
    ids = impression_ids(6)
    asked, blobs = [Asked(8)] * 6, [blob(learned, 40)] * 6
    drawn = rank(learned, asked, blobs, ids, learned.clock + 9, 0.5)
    for ranking, impression_id in zip(drawn, ids, strict=True):
        alone = learned.recommend(
            window.tracks,
            window.seconds,
            window.ratios,
            now=learned.clock + 9,
            k=8,
            explore=0.5,
            draw=UUID(impression_id).int >> 64,
        )
        assert ranking.indices.tolist() == alone.indices.tolist()
        assert ranking.propensities.tolist() == alone.propensities.tolist()
    assert len({tuple(ranking.indices.tolist()) for ranking in drawn}) > 1


async def test_a_track_that_exploration_drew_says_with_what_chance(
    world: World, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The impression's id decides what is drawn. One random id in 256 draws none of eight places.
    ids = random.Random(0)
    for maker in (desk, slow):
        monkeypatch.setattr(
            maker,
            "impression_ids",
            lambda count: [str(UUID(bytes=ids.randbytes(16), version=4)) for _ in range(count)],
        )
    lists = desk_of(world)
    for asked in (Asked(8, explore=0.5), Asked(8, explore=0.9), Asked(8, explain=True)):
        answer = json.loads(await lists.ask("ada", asked))
        shown = answer["recommendations"]
        chances = decode(logged.records[-1].value).matrix()[:, 1].tolist()
        drawn = [track for track in shown if "propensity" in track]
        assert bool(drawn) == (asked.explore is not None)
        for track, chance in zip(shown, chances, strict=True):
            if "propensity" in track:
                assert track["propensity"] == pytest.approx(chance, rel=1e-4)
                assert chance < 0.1
            else:
                assert chance == pytest.approx(1.0 - (asked.explore or 0.0))
        assert all(bool(track.get("reasons")) == asked.explain for track in shown)


def test_a_row_given_to_another_track_is_read_anew() -> None:
    model, tracks = Recommender(SMALL), KnownTracks()
    row = model.register_track(5)
    rows = np.array([row], np.int32)
    assert tracks.of(model, rows)[0].opening == b""
    model.register_track(5, document=document("first"))
    for _ in range(2):
        assert tracks.of(model, rows)[0].track_id == "first"
    model.state.document_size[row] = 0  # as eviction leaves it
    assert tracks.of(model, rows)[0].opening == b""
    model.register_track(5, document=document("other"))
    (known,) = tracks.of(model, rows)
    assert known.track_id == "other"
    assert json.loads(known.opening + b"1}")["title"] == "OTHER"


async def test_a_track_without_a_document_is_in_neither(
    world: World, logged: Logged, learned: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = json.loads(await desk_of(world).ask("ada", Asked(5)))["recommendations"]
    row = next(
        r
        for r in range(60)
        if learned.document(r).startswith(
            json.dumps({"track_id": full[1]["track_id"]}).encode()[:-1]
        )
    )
    size = learned.state.document_size[row]
    learned.state.document_size[row] = 0
    try:
        answer = json.loads(await desk_of(world).ask("ada", Asked(5)))
    finally:
        learned.state.document_size[row] = size
    left = [t["track_id"] for t in full if t != full[1]]
    assert [t["track_id"] for t in answer["recommendations"]] == left
    seen = decode(logged.records[-1].value)
    assert (seen.tracks, len(seen.matrix())) == (left, 4)


async def test_an_answer_that_cannot_be_sent_holds_up_no_other(
    world: World, logged: Logged
) -> None:
    lists = desk_of(world)
    await lists.ask("first", Asked(1))  # may compile the kernels: not within the time limit below

    def gone(_: object) -> None:
        raise RuntimeError("the handler is closed")

    busy = [lists.ask(f"user{n}", Asked(1)) for n in range(desk.AT_ONCE)]
    lists.put("gone", Asked(1), gone)
    waiting = lists.ask("ada", Asked(1))
    async with asyncio.timeout(30):
        await asyncio.gather(*busy)
        assert json.loads(await waiting)["user"] == "ada"
