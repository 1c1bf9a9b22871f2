"""Last.fm 1K and the Million Playlist Dataset as staging rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batch.catalogue import lastfm_1k, mpd
from batch.collectors.plays import Refused
from batch.staging.tables import Table
from contracts.errors import ConfigurationError

MBID = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"
ARTIST, TRACK = "a" * 22, "t" * 22


def named(found: list[Any], table: str) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries of what is known."""
    rows = []
    for each in found:
        if not isinstance(each, Refused) and each[0].name == table:
            kind: Table = each[0]
            pairs = zip(kind.columns, each[1], strict=True)
            rows.append({k: v for k, v in pairs if v is not None})
    return rows


def test_lastfm_1k_is_added_up_and_odd_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "plays.tsv"
    lines = [
        f'user_1\t2009-05-04T23:08:57Z\t{MBID}\tDeep "Dish"\t\tFuck Me Im "Famous"',
        f'user_1\t2009-05-04T13:54:10Z\t{MBID}\tDeep "Dish"\t\tFuck Me Im "Famous"',
        f'user_2\t2009-05-04T13:52:04Z\t\tDeep "Dish"\t{MBID}\tOther',
        "user_2\tnot a time\t\tX\t\tY",
        "user_2\t2009-05-04T13:52:04Z\ttoo few",
        "user_2\t2009-05-04T13:52:05Z\t\t\t\tno artist",
    ]
    path.write_text("\n".join(lines) + "\n")
    found = list(lastfm_1k.rows(path))
    (artist,) = named(found, "staged_artists")
    assert (artist["name"], artist["mbid"]) == ('Deep "Dish"', MBID)
    assert (artist["playcount"], artist["listeners"]) == (3, 2)
    tracks = {row["title"]: row for row in named(found, "staged_tracks")}
    assert set(tracks) == {'Fuck Me Im "Famous"', "Other"}
    assert tracks["Other"]["recording_mbid"] == MBID
    assert tracks['Fuck Me Im "Famous"']["playcount"] == 2
    refused = [each for each in found if isinstance(each, Refused)]
    assert sorted(each.reason for each in refused) == ["columns", "columns"]
    assert any("not a time" in each.raw for each in refused)


def test_playlists_are_counted_over_slices(tmp_path: Path) -> None:
    def playlist(pid: int, *tracks: str) -> dict[str, Any]:
        return {
            "pid": pid,
            "name": "x",
            "tracks": [
                {
                    "pos": n,
                    "artist_name": "Air",
                    "track_uri": f"spotify:track:{uri}",
                    "artist_uri": f"spotify:artist:{ARTIST}",
                    "track_name": f"Song {uri[0]}",
                    "album_uri": "spotify:album:x",
                    "duration_ms": 200_000,
                    "album_name": "Moon Safari",
                }
                for n, uri in enumerate(tracks)
            ],
        }

    other = "u" * 22
    for number, lists in enumerate(
        [[playlist(0, TRACK, other), playlist(1, TRACK, TRACK)], [playlist(2, TRACK)]]
    ):
        path = tmp_path / f"mpd.slice.{number}000-{number}999.json"
        path.write_text(json.dumps({"info": {"version": "v1"}, "playlists": lists}))
    found = list(mpd.rows(tmp_path))
    (artist,) = named(found, "staged_artists")
    assert (artist["spotify_id"], artist["playcount"]) == (ARTIST, 3)
    tracks = {row["source_key"]: row for row in named(found, "staged_tracks")}
    assert {key: row["playcount"] for key, row in tracks.items()} == {TRACK: 3, other: 1}
    assert tracks[TRACK]["album"] == "Moon Safari"
    assert len(list(mpd.rows(tmp_path / "mpd.slice.1000-1999.json"))) == 2


@pytest.mark.parametrize("loader", [lastfm_1k, mpd])
def test_another_file_is_said_so(loader: Any, tmp_path: Path) -> None:
    path = tmp_path / "mpd.slice.0-999.json"
    with pytest.raises(ConfigurationError, match=str(path)):
        list(loader.rows(path))
    path.write_text("hello\nworld\n")
    with pytest.raises(ConfigurationError, match=str(path)):
        list(loader.rows(path))
