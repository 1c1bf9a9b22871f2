"""One odd row of an answer costs one row: every list of every contract, every source of plays."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.collectors.errors import ShapeBroken
from batch.collectors.lastfm import contract as lastfm
from batch.collectors.lastfm.plays import read_row
from batch.collectors.listenbrainz import plays as listenbrainz
from batch.collectors.listenbrainz.contract import ListensAnswer, SimilarArtist
from batch.collectors.mending import mended
from batch.collectors.plays import Refused
from batch.collectors.shape import read, read_counting
from batch.collectors.spotify import plays as spotify
from batch.collectors.spotify.contract import RecentlyPlayed
from batch.collectors.tally import Tally
from contracts.posted import PostedPlay


def lastfm_row(n: int, **changes: Any) -> dict[str, Any]:
    row = {"artist": {"#text": "Band"}, "name": f"T{n}", "date": {"uts": str(1_700_000_000 + n)}}
    return {**row, **changes}


def lastfm_answer(rows: Any, total: int = 3) -> dict[str, Any]:
    attr = {"total": str(total), "totalPages": "1"}
    held = {"@attr": attr} if rows is None else {"track": rows, "@attr": attr}
    return {"recenttracks": held}


def listen(n: int, **changes: Any) -> dict[str, Any]:
    names = {"artist_name": "Lb", "track_name": f"L{n}", "additional_info": {}, **changes}
    return {"listened_at": 1_700_000_000 + n, "track_metadata": names}


def item(n: int, **changes: Any) -> dict[str, Any]:
    track = {
        "id": f"{n:022d}", "name": f"S{n}", "artists": [{"id": "a", "name": "Sp"}],
        "album": {"id": "b", "name": "Alb"}, "duration_ms": 200_000, "external_ids": {},
    }  # fmt: skip
    return {"track": {**track, **changes}, "played_at": f"2024-05-01T10:0{n}:00Z"}


def plays_of(source: str, rows: list[Any]) -> tuple[list[PostedPlay], int]:
    """Return the plays of an answer, and how many of its rows were refused."""
    tally = Tally()
    found: list[Any]
    if source == "lastfm":
        answer = read(json.dumps(lastfm_answer(rows)), lastfm.RecentTracksAnswer, tally)
        found = [read_row(row) for row in lastfm.rows(answer.recenttracks.track)]
    elif source == "listenbrainz":
        body = json.dumps({"payload": {"listens": rows}})
        found = listenbrainz.read_page(read(body, ListensAnswer, tally), 0).rows
    else:
        found = spotify.read_page(read(json.dumps({"items": rows}), RecentlyPlayed, tally), 0).rows
    plays = [row for row in found if isinstance(row, PostedPlay)]
    refused = sum(isinstance(row, Refused) for row in found) + sum(tally.rejected.values())
    return plays, refused


@pytest.mark.parametrize(
    ("source", "odd", "kept"),
    [
        ("lastfm", lastfm_row(2, artist={"#text": None, "mbid": ""}), 2),
        ("lastfm", lastfm_row(2, artist=None), 2),
        ("lastfm", lastfm_row(2, name=None), 2),
        ("lastfm", lastfm_row(2, date={"uts": None}), 2),
        ("lastfm", None, 2),
        ("lastfm", "row", 2),
        ("lastfm", lastfm_row(2, artist="Band"), 3),
        ("lastfm", lastfm_row(2, album=""), 3),
        ("lastfm", lastfm_row(2, album=None), 3),
        ("lastfm", lastfm_row(2, album=["x"]), 3),
        ("lastfm", lastfm_row(2, mbid=7), 3),
        ("listenbrainz", listen(2, additional_info=None), 3),
        ("listenbrainz", listen(2, additional_info=[]), 3),
        ("listenbrainz", listen(2, mbid_mapping=[]), 3),
        ("listenbrainz", listen(2, release_name=5), 3),
        ("listenbrainz", listen(2, track_name=None), 2),
        ("listenbrainz", {"listened_at": None, "track_metadata": {}}, 2),
        ("listenbrainz", None, 2),
        ("spotify", item(2, id=None), 3),
        ("spotify", item(2, album=None), 3),
        ("spotify", item(2, duration_ms=None), 3),
        ("spotify", item(2, external_ids={"isrc": None}), 3),
        ("spotify", item(2, external_ids=None), 3),
        ("spotify", item(2, artists=[{"id": None, "name": "Sp"}]), 3),
        ("spotify", item(2, artists=None), 2),
        ("spotify", item(2, name=None), 2),
        ("spotify", {"track": None, "played_at": "2024-05-01T10:02:00Z"}, 2),
        ("spotify", {**item(2), "played_at": None}, 2),
    ],
)
def test_an_odd_row_costs_itself_at_most(source: str, odd: Any, kept: int) -> None:
    make: Any = {"lastfm": lastfm_row, "listenbrainz": listen, "spotify": item}[source]
    plays, refused = plays_of(source, [make(1), odd, make(3)])
    assert len(plays) == kept
    assert bool(refused) == (kept < 3)


def test_a_local_file_has_names_and_no_id() -> None:
    (play,), _ = plays_of("spotify", [item(2, id=None)])
    assert play.spotify_uri is None
    assert (play.artist, play.title) == ("Sp", "S2")


def test_an_object_is_a_list_of_one_everywhere() -> None:
    one = mended({"items": item(1)}, RecentlyPlayed).value
    assert len(one.items) == 1
    assert (
        len(mended({"payload": {"listens": listen(1)}}, ListensAnswer).value.payload.listens) == 1
    )


def test_what_was_left_out_is_told_by_path_and_kept() -> None:
    tally = Tally()
    body = json.dumps(lastfm_answer([lastfm_row(1), lastfm_row(2, name=None)]))
    answer = read_counting(body, lastfm.RecentTracksAnswer, tally)
    ((path, why, raw),) = answer.broken
    assert path == "recenttracks.track[1].name"
    assert "null" in why
    assert json.loads(raw)["name"] is None
    assert tally.rejected == {"odd-row": 1}
    assert tally.drift, "drift is counted as ever"


def test_only_an_answer_without_its_list_stops_the_walk() -> None:
    for body in ('{"payload": {}}', '{"payload": {"listens": null}}', "[]", "{}"):
        with pytest.raises(ShapeBroken):
            read(body, ListensAnswer, Tally())


def test_an_answer_of_which_no_row_can_be_read_stops_the_walk() -> None:
    for count, stops in ((9, False), (10, True)):
        body = json.dumps(
            {"payload": {"listens": [{"listened_at": None, "n": n} for n in range(count)]}}
        )
        if stops:
            with pytest.raises(ShapeBroken, match="no row can be read"):
                read(body, ListensAnswer, Tally())
        else:
            assert read(body, ListensAnswer, Tally()).payload.listens == []


def test_a_listener_without_plays_has_none() -> None:
    answer = read(json.dumps(lastfm_answer(None, 0)), lastfm.RecentTracksAnswer, Tally())
    assert lastfm.rows(answer.recenttracks.track) == []


def test_rows_left_out_do_not_make_a_page_the_last() -> None:
    listens = [listen(n) for n in range(999)]
    body = json.dumps({"payload": {"listens": [*listens, None]}})
    answer = read_counting(body, ListensAnswer, Tally())
    assert not listenbrainz.read_page(answer.value, 0, len(answer.broken)).finished
    assert listenbrainz.read_page(answer.value, 0, 0).finished


CONTRACTS: list[tuple[Any, Any]] = [
    (lastfm.RecentTracksAnswer, lastfm_answer([lastfm_row(n) for n in range(4)])),
    (ListensAnswer, {"payload": {"listens": [listen(n) for n in range(4)]}}),
    (RecentlyPlayed, {"items": [item(n) for n in range(4)]}),
    (list[SimilarArtist], [
        {"artist_mbid": f"{n}", "name": "x", "score": n, "reference_mbid": "r"} for n in range(4)]),
    (lastfm.SimilarAnswer, {"similarartists": {"artist": [
        {"name": f"{n}", "match": "0.5"} for n in range(4)]}}),
    (lastfm.TopTagsAnswer, {"toptags": {"tag": [{"name": f"{n}", "count": 3} for n in range(4)]}}),
    (lastfm.ChartTracksAnswer, {"tracks": {"track": [
        {"name": f"{n}", "artist": {"name": "x"}} for n in range(4)]}}),
    (lastfm.ChartArtistsAnswer, {"artists": {"artist": [{"name": f"{n}"} for n in range(4)]}}),
]  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def the_list(document: Any) -> list[Any]:
    """Return the list of rows of an answer: the first list in it."""
    if isinstance(document, list):
        return document
    held = (v for k, v in document.items() if k not in ("@attr", "attr"))
    return the_list(next(v for v in held if isinstance(v, dict | list)))


@pytest.mark.parametrize(
    ("contract", "document"), CONTRACTS, ids=lambda c: getattr(c, "__name__", "")
)
@given(data=st.data())
def test_whatever_stands_in_one_row_the_others_are_read(
    contract: Any, document: Any, data: st.DataObject
) -> None:
    changed = copy.deepcopy(document)
    rows = the_list(changed)
    at = data.draw(st.integers(0, 3))
    if data.draw(st.booleans()) or not isinstance(rows[at], dict):
        rows[at] = data.draw(json_values)
    else:
        rows[at][data.draw(st.sampled_from(sorted(rows[at])))] = data.draw(json_values)
    answer = mended(changed, contract)
    kept = the_list(msgspec.to_builtins(answer.value))
    assert len(kept) + len({b.path.split("]")[0] for b in answer.broken}) >= 4
    assert len(kept) >= 3
