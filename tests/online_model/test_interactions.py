"""Reading tables of interactions in the forms people have them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from online_model.interactions import UnreadableInteractions, read_interactions


def _write(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "times",
    [
        [1_700_000_000, 1_700_000_060, 1_700_000_120],
        [1_700_000_000_000, 1_700_000_060_000, 1_700_000_120_000],
        [1_700_000_000_000_000, 1_700_000_060_000_000, 1_700_000_120_000_000],
        ["2023-11-14T22:13:20Z", "2023-11-14T22:14:20Z", "2023-11-14T22:15:20Z"],
        ["2023-11-14 22:13:20", "2023-11-14 22:14:20", "2023-11-14 22:15:20"],
    ],
)
def test_times_in_any_unit(tmp_path: Path, times: list[object]) -> None:
    path = _write(tmp_path / "a.parquet", user=["a", "b", "a"], track_id=["x", "y", "x"], ts=times)
    data = read_interactions(path)
    assert data.seconds.tolist() == [1_700_000_000, 1_700_000_060, 1_700_000_120]
    assert data.users.tolist() == [0, 1, 0]
    assert data.items.tolist() == [0, 1, 0]
    assert data.columns == ("user", "track_id", "ts")


def test_rows_are_sorted_by_time_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.parquet", user_id=[1, 2, 3, 4], song_id=[9, 8, 7, 6], time=[50, 10, 10, 10]
    )
    data = read_interactions(path, limit=3)
    assert data.seconds.tolist() == [10, 10, 10]
    assert data.users.tolist() == [0, 1, 2]
    assert len(data) == 3


def test_csv_with_other_names_and_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "plays.csv"
    path.write_text("who,what,when\na,x,100\n,y,110\nb,z,120\n")
    data = read_interactions(path, user="who", item="what", time="when")
    assert data.seconds.tolist() == [100, 120]
    assert data.incomplete == {"user": 1, "item": 0, "time": 0}
    with pytest.raises(UnreadableInteractions, match="who, what, when"):
        read_interactions(path)


def test_rows_that_lack_something_are_counted_by_what_they_lack(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.parquet",
        user=["a", None, " ", "b", "c", "d"],
        track_id=["x", "x", "x", None, "y", "z"],
        ts=[10.0, 11.0, 12.0, 13.0, float("nan"), 15.0],
    )
    data = read_interactions(path)
    assert data.incomplete == {"user": 2, "item": 1, "time": 1}
    assert data.seconds.tolist() == [10, 15]


def test_played_share_and_skips(tmp_path: Path) -> None:
    shared = _write(
        tmp_path / "a.parquet",
        user=[1, 1, 1],
        item=[1, 2, 3],
        ts=[1, 2, 3],
        ms_played=[1000, 50_000, 5],
        duration_ms=[10_000, 10_000, 0],
    )
    assert read_interactions(shared).ratios.tolist() == [10, 100, 0]
    flagged = _write(
        tmp_path / "b.parquet", user=[1, 1], item=[1, 2], ts=[1, 2], skipped=[True, False]
    )
    assert read_interactions(flagged).ratios.tolist() == [10, 100]


def test_not_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UnreadableInteractions, match=r"a\.parquet"):
        read_interactions(path)
    words = _write(tmp_path / "b.parquet", user=[1], item=[1], ts=["yesterday"])
    with pytest.raises(UnreadableInteractions, match="ts"):
        read_interactions(words)


def test_a_track_is_both_names_and_placeholders_are_passed_over(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.parquet",
        who=["a", "a", "b", "b", "b"],
        band=["Air", "AIR ", "Moby", "<unknown>", None],
        song=["Run", "run", "Run", "Song", "Song"],
        at=[10, 20, 30, 40, 50],
        ms=[200_000, 3_000, 5_000, 1, 1],
    )
    data = read_interactions(path, user="who", item="song", time="at", artist="band", heard_ms="ms")
    assert data.items.tolist() == [0, 0, 1]
    assert data.artists is not None
    assert data.artists.tolist() == [0, 0, 1]
    assert data.ratios.tolist() == [255, 1, 2]
    assert data.incomplete == {"user": 0, "item": 0, "time": 0, "artist": 1, "name": 1}
    with pytest.raises(UnreadableInteractions, match="--artist"):
        read_interactions(path, user="who", item="song", time="at", artist="singer")
