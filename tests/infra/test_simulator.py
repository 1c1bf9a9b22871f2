"""The simulated world: the same for the same seed, and with the habits it promises."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.experiments import arm_of, definition_of
from contracts.ids import track_key
from infra.simulator.arms import PLANTED, definitions, plant, start
from infra.simulator.catalogue import GENRES, Catalogue, build
from infra.simulator.client import BATCH, Poster
from infra.simulator.crowd import MAX_LISTENERS, SECONDS_PER_PLAY, Crowd
from infra.simulator.listener import Heard, Listener
from infra.simulator.lists import Lists, Offered

_DAY = 86_400_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return build(7)


@pytest.fixture(scope="module")
def plays(catalogue: Catalogue) -> list[Heard]:
    """A day of about 200 listeners, once the crowd has mixed."""
    crowd = Crowd(catalogue, 7, 200 / SECONDS_PER_PLAY, 0)
    list(crowd.until(_DAY // 4))
    return list(crowd.until(_DAY // 4 + _DAY))


def test_catalogue_is_large_and_its_names_are_distinct(catalogue: Catalogue) -> None:
    assert len(GENRES) >= 12
    assert len(catalogue.by_artist) >= 1000
    assert min(len(tracks) for tracks in catalogue.by_artist.values()) >= 3
    keys = {track_key(track.artist, track.title) for track in catalogue.tracks}
    assert len(keys) == len(catalogue.tracks)
    assert [track.index for track in catalogue.tracks] == list(range(len(catalogue.tracks)))


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_a_seed_makes_one_world_and_another_seed_another(seed: int) -> None:
    first, second = build(seed), build(seed)
    assert first == second
    assert first.tracks != build(seed + 1).tracks
    one, other = (list(Crowd(c, seed, 0.5, 0).until(_DAY // 12)) for c in (first, second))
    assert one == other
    assert one != list(Crowd(first, seed, 0.5, 0, run=1).until(_DAY // 12))


def test_people_are_the_same_in_every_run(catalogue: Catalogue) -> None:
    first, again = (Listener(7, 3, catalogue) for _ in range(2))
    assert first.favourites == again.favourites
    assert first.favourites != Listener(7, 4, catalogue).favourites


def test_on_the_page_of_the_first_listener_something_happens(catalogue: Catalogue) -> None:
    crowd = Crowd(catalogue, 7, 200 / SECONDS_PER_PLAY, 0)
    began = _DAY // 4
    list(crowd.until(began))
    crowd.hurry_first(began)
    plays = [play for play in crowd.until(began + 3_600_000) if play.user == "sim-00000"]
    starts = [play.played_at for play in plays]
    assert 60 < len(starts) < 300
    assert max(after - before for before, after in pairwise(starts)) < 120_000
    # Slow enough not to be taken for a bot (contracts.suspects).
    heard = [play.played_at for play in plays if play.ms_played >= 30_000]
    assert all(heard[i + 5] - heard[i] > 60_000 for i in range(len(heard) - 5))


def test_listeners_take_what_they_like_from_lists(catalogue: Catalogue) -> None:
    """A list of good tracks is taken from more often than one of others, and the play names it."""
    taken = {}
    for name in ("liked", "other"):
        crowd = Crowd(catalogue, 7, 200 / SECONDS_PER_PLAY, 0)
        by_user = {listener.user: listener for listener in crowd.listeners}
        asked = []

        def lists(user: str, name: str = name) -> Offered:
            asked.append(user)  # noqa: B023  called within this turn of the loop
            likes = by_user[user].likes  # noqa: B023
            genres = [g for g in GENRES if (g in likes) == (name == "liked")]
            return Offered([catalogue.by_genre[g][0] for g in genres], f"{name}-{len(asked)}")  # noqa: B023

        crowd.lists = lists
        plays = list(crowd.until(_DAY // 4))
        named = [play.impression for play in plays if play.impression]
        assert len(set(named)) == len(named)
        taken[name] = len(named) / len(asked)
        assert 0.15 < len(asked) / len(plays) < 0.35
    assert taken["liked"] > 1.3 * taken["other"] > 0


def test_the_planted_arm_takes_as_much_more_as_it_should(catalogue: Catalogue) -> None:
    """And nothing else: whoever is asked about the other experiment finds no difference."""
    same, planted = definitions(datetime(2026, 1, 1, tzinfo=UTC))
    assert [definition_of(msgspec.json.encode(d)) for d in (same, planted)] == [same, planted]
    crowd = Crowd(catalogue, 7, 400 / SECONDS_PER_PLAY, 0)
    plant(planted, crowd.listeners)
    asked: Counter[tuple[str, str]] = Counter()
    taken: Counter[tuple[str, str]] = Counter()

    def arms(user: str) -> list[tuple[str, str]]:
        return [(d.key, arm.name) for d in (same, planted) if (arm := arm_of(d, user))]

    def lists(user: str) -> Offered:
        asked.update(arms(user))
        return Offered([catalogue.by_genre[g][0] for g in list(GENRES)[:2]], "list")

    crowd.lists = lists
    for play in crowd.until(_DAY // 2):
        taken.update(arms(play.user) if play.impression else [])
    rate = {arm: taken[arm] / asked[arm] for arm in asked}
    more = rate[planted.key, "planted"] / rate[planted.key, "control"]
    assert more == pytest.approx(PLANTED, rel=0.25)
    assert rate[same.key, "same"] / rate[same.key, "control"] == pytest.approx(1.0, rel=0.25)


def test_experiments_are_started_once_and_go_on(catalogue: Catalogue) -> None:
    """An API that has them already is no error; one that refuses leaves listeners as they were."""
    seen: list[str] = []
    status = [201]

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(status[0], json={"experiment": {"state": "running"}})

    for code, eager in ((201, True), (403, False)):
        status[0] = code
        people = Crowd(catalogue, 7, 1.0, 0).listeners
        with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://x") as client:
            start(client, people)
        assert (max(one.eagerness for one in people) == PLANTED) is eager
    assert seen[:3] == [
        "POST /v1/experiments",
        "POST /v1/experiments/simulated-same/start",
        "GET /v1/experiments/simulated-same",
    ]


def test_the_rate_is_kept(plays: list[Heard]) -> None:
    assert len(plays) == pytest.approx(200 * 86_400 / SECONDS_PER_PLAY, rel=0.05)


@pytest.mark.parametrize("rate", [0.01, 5.0, 500.0])
def test_the_crowd_stays_within_bounds_at_any_rate(catalogue: Catalogue, rate: float) -> None:
    crowd = Crowd(catalogue, 7, rate, 0)
    assert len(crowd.listeners) <= MAX_LISTENERS
    list(crowd.until(int(4000 * SECONDS_PER_PLAY / crowd.speed)))
    begin = int(4000 * SECONDS_PER_PLAY / crowd.speed)
    span = min(int(6000 / rate * 1000), 10 * _DAY)
    count = sum(1 for _ in crowd.until(begin + span))
    assert count == pytest.approx(rate * span / 1000, rel=0.15)


def test_plays_come_in_order_and_never_overlap(plays: list[Heard]) -> None:
    ends = [play.played_at + play.ms_played for play in plays]
    assert ends == sorted(ends)
    by_user = defaultdict(list)
    for play in plays:
        by_user[play.user].append(play)
    for own in by_user.values():
        for before, after in pairwise(own):
            assert after.played_at >= before.played_at + before.ms_played


def test_skips_are_short_and_as_frequent_as_promised(
    plays: list[Heard], catalogue: Catalogue
) -> None:
    assert 0.08 < sum(play.skipped for play in plays) / len(plays) < 0.25
    for play in plays:
        duration = catalogue.tracks[play.track].duration_ms
        assert (play.ms_played < duration) == play.skipped
        assert play.ms_played > 0


def test_sessions_have_gaps_and_tracks_come_back(plays: list[Heard]) -> None:
    own = [play for play in plays if play.user == "sim-00001"]
    gaps = [b.played_at - a.played_at - a.ms_played for a, b in pairwise(own)]
    assert sum(gap > 60_000 for gap in gaps) >= 5
    assert 0.02 < sum(gap > 60_000 for gap in gaps) / len(gaps) < 0.25
    assert Counter(play.track for play in own).most_common(1)[0][1] >= 3


def test_listeners_keep_to_their_genres(plays: list[Heard], catalogue: Catalogue) -> None:
    shares = []
    for number in range(20):
        listener = Listener(7, number, catalogue)
        own = [catalogue.tracks[p.track].genre for p in plays if p.user == listener.user]
        shares.append(sum(genre in listener.likes for genre in own) / len(own))
    assert min(shares) > 0.9  # of 16 genres, three


def test_what_follows_a_track_can_be_learned(plays: list[Heard], catalogue: Catalogue) -> None:
    last: dict[str, Heard] = {}
    hits = seen = 0
    for play in plays:
        before = last.get(play.user)
        if before is not None and not before.skipped:
            seen += 1
            hits += play.track in catalogue.successors[before.track]
        last[play.user] = play
    assert hits / seen > 0.3  # by chance it would be 3 of 10,000


def _poster(catalogue: Catalogue, answers: list[httpx.Response]) -> tuple[Poster, list[int]]:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        plays = json.loads(request.content)["plays"]
        sizes.append(len(plays))
        if answers:
            return answers.pop(0)
        return httpx.Response(202, json={"accepted": len(plays), "rejected": 0, "results": []})

    client = httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer))
    return Poster(client, catalogue, lambda _seconds: False), sizes


def test_an_unavailable_api_costs_no_play(catalogue: Catalogue, plays: list[Heard]) -> None:
    poster, sizes = _poster(catalogue, [httpx.Response(503), httpx.Response(429)])
    poster.add(plays[: BATCH + 1])
    poster.flush()
    assert sizes == [BATCH, BATCH, BATCH, 1]
    assert (poster.accepted, poster.retries, poster.refused) == (BATCH + 1, 2, 0)


def test_refused_plays_are_counted_and_not_sent_for_ever(
    catalogue: Catalogue, plays: list[Heard]
) -> None:
    some = httpx.Response(202, json={"accepted": 2, "rejected": 1, "results": []})
    poster, sizes = _poster(catalogue, [some, httpx.Response(401, json={})])
    poster.add(plays[:3])
    poster.flush()
    poster.add(plays[3:5])
    poster.flush()
    assert sizes == [3, 2]
    assert (poster.accepted, poster.refused) == (2, 3)


def test_lists_come_from_the_api_and_an_absent_one_is_left_alone(catalogue: Catalogue) -> None:
    first = catalogue.tracks[0]
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if len(calls) > 1:
            return httpx.Response(503)
        shown = [
            {"artist": "Nobody", "title": "Unknown"},
            {"artist": first.artist, "title": first.title},
        ]
        return httpx.Response(200, json={"impression_id": "i", "recommendations": shown})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://api")
    lists = Lists(client, catalogue)
    assert lists("sim-00001") == Offered([0], "i")
    assert lists("sim-00001") is None
    assert lists("sim-00001") is None, "it is not asked again at once"
    assert calls == ["/v1/users/sim-00001/recommendations"] * 2
    assert (lists.asked, lists.missed) == (1, 1)
