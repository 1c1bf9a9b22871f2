"""Answers as staging rows: what cannot be read is refused with its text, never raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.collectors.archive import ArchivedAnswer
from batch.collectors.lastfm.questions import CONTRACTS
from batch.collectors.plays import Refused
from batch.staging import lastfm_rows, listenbrainz_rows, spotify_rows
from batch.staging.tables import ARTISTS, SIMILAR, TAGS, TRACKS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def record(body: Any, path: str = "/2.0/", status: int = 200, **params: str) -> ArchivedAnswer:
    return ArchivedAnswer(
        unit="r/1", source="x", path=path, params=params, status=status,
        fetched_at=1_700_000_000_000, body=json.dumps(body),
    )  # fmt: skip


@given(JSON, st.sampled_from([*CONTRACTS, "user.getRecentTracks", "chart.getNothing"]))
def test_any_body_is_rows_or_refused(body: Any, method: str) -> None:
    found = list(lastfm_rows.rows_of(record(body, method=method, artist="a", tag="t")))
    assert all(isinstance(each, Refused) and each.raw for each in found)


@given(JSON, st.sampled_from(["tracks/x", "artists/x", "me/player/recently-played", "what"]))
def test_any_spotify_body_is_rows_or_refused(body: Any, path: str) -> None:
    for each in spotify_rows.rows_of(record(body, f"/v1/{path}")):
        assert isinstance(each, Refused)


def test_what_is_not_there_is_no_row() -> None:
    assert not list(lastfm_rows.rows_of(record({}, status=404, method="track.getInfo")))
    assert not list(spotify_rows.rows_of(record({}, "/v1/tracks/x", status=404)))


@pytest.mark.parametrize(("date", "year"), [("1998-01-16", "1998"), ("0000", None), ("", None)])
def test_a_spotify_track(date: str, year: str | None) -> None:
    artist = {"id": "a" * 22, "name": "Air", "genres": ["Downtempo"]}
    body = {
        "id": "t" * 22, "name": "Sexy Boy", "artists": [artist], "duration_ms": 5,
        "album": {"id": "b", "name": "Moon Safari", "release_date": date},
        "external_ids": {"isrc": "frz039800212"},
    }  # fmt: skip
    rows = list(spotify_rows.rows_of(record(body, "/v1/tracks/x")))
    assert [row[0] for row in rows] == [TRACKS, ARTISTS, TAGS]  # type: ignore[index]
    track = dict(zip(TRACKS.columns, rows[0][1], strict=True))  # type: ignore[index]
    assert (track["year"], track["isrc"], track["artist"]) == (year, "FRZ039800212", "Air")


SIMILAR_PATH = "/similar-artists/json"


@given(JSON)
def test_any_listenbrainz_body_is_rows_or_refused(body: Any) -> None:
    assert list(listenbrainz_rows.rows_of(record(body, "/1/user/ada/listens"))) == []
    for each in listenbrainz_rows.rows_of(record(body, SIMILAR_PATH)):
        assert isinstance(each, Refused) or each[0] in (ARTISTS, SIMILAR)


def test_artists_heard_together_are_scored_within_their_answer() -> None:
    rows = [
        {
            "artist_mbid": m,
            "name": n,
            "score": s,
            "reference_mbid": "a",
            "comment": "",
            "type": None,
        }
        for m, n, s in (("b", "Zero 7", 800), ("c", "Moby", 200), ("a", "Air", 900), ("d", "X", 0))
    ]
    answer = record(rows, SIMILAR_PATH)
    answer.unit = "lookups-1/similar/a/Air"
    found = list(listenbrainz_rows.rows_of(answer))
    names = {row[2]: row[0:2] for table, row in found if table is ARTISTS}  # type: ignore[misc]
    assert names == {
        "Air": ("listenbrainz", "a"),
        "Zero 7": ("listenbrainz", "b"),
        "Moby": ("listenbrainz", "c"),
    }
    scores = [row[1:4] for table, row in found if table is SIMILAR]  # type: ignore[misc]
    assert scores == [("a", "b", 800 / 900), ("a", "c", 200 / 900)]


def test_a_number_that_is_none_is_unknown() -> None:
    artist = {"name": "Air"}
    chart = [{"name": "Run", "artist": artist, "duration": each} for each in ("", "FIXME", "200")]
    rows = [
        *lastfm_rows.rows_of(record({"tracks": {"track": chart}}, method="chart.getTopTracks")),
        *lastfm_rows.rows_of(
            record({"track": {**chart[0], "duration": "9" * 50}}, method="track.getInfo")
        ),
    ]
    length = TRACKS.columns.index("duration_ms")
    assert [row[1][length] for row in rows] == [None, None, 200_000, None]  # type: ignore[index]
    tags = {"toptags": {"tag": [{"name": "pop", "count": "many"}]}}
    *_, tag = lastfm_rows.rows_of(record(tags, method="artist.getTopTags", artist="Air"))
    assert dict(zip(TAGS.columns, tag[1], strict=True))["weight"] == 1  # type: ignore[index]
