"""The walk's logic: while the list changes, each play that stays in it arrives once."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.collectors.lastfm import walk as walk_module
from batch.collectors.lastfm.contract import RecentTracksAnswer, rows
from batch.collectors.lastfm.plays import read_row
from batch.collectors.lastfm.walk import LIMIT, Walk, advance
from batch.collectors.plays import identity
from contracts.posted import PostedPlay
from tests.batch.collectors.lastfm_server import START, LastFm, Scrobble, history

UNTIL = START + 10_000_000


def run(server: LastFm, walk: Walk | None = None, most: int = 400) -> tuple[list[str], Walk, int]:
    """Walk to the end; return identities in order of delivery, the walk, and its requests."""
    walk = walk or Walk(run="r", until=UNTIL)
    delivered, asked = [], 0
    while not walk.finished:
        asked += 1
        assert asked < most, "the walk does not end"
        document = msgspec.json.encode(server.page(walk.params("ada")))
        answer = msgspec.json.decode(document, type=RecentTracksAnswer, strict=False).recenttracks
        plays = [p for r in rows(answer.track) if isinstance(p := read_row(r), PostedPlay)]
        fresh, walk = advance(walk, answer.attr, plays)
        delivered += [identity(play) for play in fresh]
    return delivered, walk, asked


def identities(plays: list[Scrobble]) -> list[str]:
    return [
        identity(PostedPlay(artist=a, title=t, played_at=s * 1000, source="")) for s, a, t in plays
    ]


def test_a_quiet_list_takes_one_request_a_page_and_one_to_learn_its_length() -> None:
    plays = history(5 * LIMIT + 3)
    delivered, walk, asked = run(LastFm(plays))
    assert delivered == identities(plays) or sorted(delivered) == sorted(identities(plays))
    assert [int(i.split(":")[0]) for i in delivered] == sorted(p[0] for p in plays)
    assert asked == 6 + 1
    assert walk.delivered == len(plays)


def test_an_empty_list_and_a_list_of_one() -> None:
    assert run(LastFm([]))[0] == []
    for now_playing in (True, False):
        one = history(1)
        assert run(LastFm(one, now_playing=now_playing))[0] == identities(one)


def test_a_thousand_plays_of_one_second_all_arrive() -> None:
    plays = [(START, "a", f"t{n}") for n in range(1000)]
    delivered, walk, _ = run(LastFm(plays))
    assert sorted(delivered) == sorted(identities(plays))
    assert run(LastFm(plays), msgspec.structs.replace(walk, finished=False, page=1, total=None,
                                                      since=walk.newest))[0] == []  # fmt: skip


def test_the_next_walk_goes_on_where_the_last_one_ended() -> None:
    plays = history(500)
    server = LastFm(plays[:300])
    first, walk, _ = run(server)
    server.plays = list(plays)
    nxt = Walk(run="s", until=UNTIL, since=walk.newest, newest=walk.newest, recent=walk.recent)
    second, _, _ = run(server, nxt)
    assert sorted(first + second) == sorted(identities(plays))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 60),
    limit=st.integers(1, 9),
    unrest=st.floats(0.0, 0.6),
)
def test_a_moving_list_has_no_gap_and_no_double(
    seed: int, count: int, limit: int, unrest: float
) -> None:
    rng = random.Random(seed)
    plays = history(count, seed)
    moves = 40  # then it comes to rest, as every listener does
    gone: set[Scrobble] = set()
    late: set[Scrobble] = set()

    def move(server: LastFm) -> None:
        nonlocal moves
        if moves == 0 or rng.random() >= unrest:
            return
        moves -= 1
        kind = rng.choice(("head", "delete", "insert"))
        if kind == "head":  # a new play, after `until`
            server.plays.append((UNTIL + moves, "new", "new"))
        elif kind == "delete" and server.plays:
            victim = rng.choice(server.plays)
            server.plays.remove(victim)
            gone.add(victim)
        elif plays:  # scrobbled late, somewhere in the list
            play = (rng.randint(plays[0][0], plays[-1][0]), "late", f"{moves}")
            server.plays.append(play)
            late.add(play)

    before = walk_module.LIMIT
    walk_module.LIMIT = limit
    try:
        delivered, _, _ = run(LastFm(plays, move), most=2000)
    finally:
        walk_module.LIMIT = before
    assert len(delivered) == len(set(delivered))
    stayed = set(identities([p for p in plays if p not in gone]))
    assert stayed <= set(delivered) <= set(identities([*plays, *late]))


def test_a_play_before_the_epoch_or_without_names_is_refused_with_its_text() -> None:
    document = {
        "recenttracks": {
            "track": [
                {"artist": {"#text": ""}, "name": "x", "date": {"uts": "5"}},
                {"artist": {"#text": "a"}, "name": "x", "date": {"uts": "0"}},
                {"artist": {"#text": "a"}, "name": "x", "date": {"uts": "soon"}},
                {"artist": {"#text": "a"}, "name": "x"},
                {"artist": {"name": "extended"}, "name": "x", "date": {"uts": 7}},
            ],
            "@attr": {"total": "5", "totalPages": "1"},
        }
    }
    answer = msgspec.json.decode(msgspec.json.encode(document), type=RecentTracksAnswer,
                                 strict=False).recenttracks  # fmt: skip
    *refused, good = [read_row(row) for row in rows(answer.track)]
    assert [r.reason for r in refused] == ["no-name", "bad-time", "bad-time", "no-date"]  # type: ignore[union-attr]
    assert isinstance(good, PostedPlay)
    assert good.artist == "extended"
    assert good.played_at == 7000
