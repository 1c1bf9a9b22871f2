"""Files of the catalogue: Kaggle's CSV, the MSD subset, HetRec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batch.catalogue import hetrec, msd, tracks_csv
from batch.collectors.plays import Refused
from batch.staging.tables import TAGS, TRACKS
from contracts.errors import ConfigurationError
from tests import synthetic

HEADER = (
    ",track_id,artists,album_name,track_name,popularity,duration_ms,explicit,danceability,energy,"
    "key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo,"
    "time_signature,track_genre\n"
)
ID = "5SuOikwiRyPMVoIQDJUgSV"
GOOD = (
    f'0,{ID},Gen Hoshino;Other,Comedy,"Comedy, again",73,230666,False,0.676,0.461,1,-6.746,0,'
    "0.143,0.0322,1.01e-06,0.358,0.715,87.917,4,acoustic\n"
)
UNKNOWN = f"1,{ID},A,B,C,73,230666,False,0.6,0.4,-1,-6.7,0,0.1,0.03,0,0.3,0.7,0.0,0,j-pop\n"


def named(table: Any, row: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(table.columns, row, strict=True))


def test_a_kaggle_row_is_a_track_and_a_tag(tmp_path: Path) -> None:
    path = tmp_path / "dataset.csv"
    path.write_text(HEADER + GOOD)
    (table, row), (tag_table, tag) = list(tracks_csv.rows(path))  # type: ignore[misc]
    assert (table, tag_table) == (TRACKS, TAGS)
    track = named(TRACKS, row)
    assert (track["artist"], track["title"]) == ("Gen Hoshino", "Comedy, again")
    assert (track["spotify_id"], track["tempo"], track["key"]) == (ID, "87.917", "1")
    assert named(TAGS, tag)["tag"] == "acoustic"


def test_what_the_analysis_did_not_find_is_unknown_and_torn_rows_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dataset.csv"
    path.write_text(HEADER + UNKNOWN + f"2,{ID},,,,0,0\n" + GOOD.replace("Gen Hoshino;Other", ""))
    found = list(tracks_csv.rows(path))
    track = named(TRACKS, found[0][1])  # type: ignore[index]
    assert [track[name] for name in ("key", "tempo", "time_signature")] == [None, None, None]
    refused = [each for each in found if isinstance(each, Refused)]
    assert [each.reason for each in refused] == ["columns", "no-name"]
    assert ID in refused[0].raw


def test_another_csv_is_refused_by_name_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigurationError, match=r"album_name.*Spotify Tracks Dataset"):
        list(tracks_csv.rows(path))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        list(tracks_csv.rows(tmp_path / "none.csv"))


def test_the_msd_subset_loses_its_zeros(shared_data: Path, real_data: bool) -> None:
    tracks = [named(TRACKS, row) for row in msd.rows(shared_data / "msd10k_tracks.parquet")]
    assert len(tracks) == (10_000 if real_data else synthetic.TRACKS)
    assert any(track["year"] is None for track in tracks)
    assert all(track["danceability"] is None and track["year"] != 0 for track in tracks)
    with pytest.raises(ConfigurationError):
        list(msd.rows(shared_data / "hetrec_tags.parquet"))


def test_hetrec_has_all_its_artists_and_tags(shared_data: Path, real_data: bool) -> None:
    artists = len({row[1] for row in hetrec.artists(shared_data)})
    assert artists == (17_632 if real_data else synthetic.ARTISTS)
    tags = list(hetrec.tags(shared_data))
    given = pq.read_table(shared_data / "hetrec_user_taggedartists.parquet").num_rows
    assert sum(row[4] for row in tags) == given  # type: ignore[misc]
    assert len({row[:4] for row in tags}) == len(tags)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hetrec_user_artists"):
        list(hetrec.artists(tmp_path))
