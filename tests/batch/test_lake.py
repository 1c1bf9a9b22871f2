"""The lake: versions, time travel, compaction beside a sink, retention."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from batch.lake import Lake
from contracts.errors import ConfigurationError
from contracts.lake import PLAYS
from contracts.settings import Settings
from infra.cli.commands.lake import moment
from tests.batch.lakes import append, delivery


def test_a_lake_that_is_not_there_is_empty(settings: Settings) -> None:
    lake = Lake.plays(settings)
    assert lake.snapshot() is None
    assert lake.history() == []
    assert lake.compact() == 0
    assert lake.vacuum() == []


def test_each_version_has_its_files_and_rows(settings: Settings) -> None:
    for size in (3, 2):
        append(settings, [delivery(minutes=size * 100 + i) for i in range(size)])
    lake = Lake.plays(settings)
    first, newest = lake.snapshot(version=0), lake.snapshot()
    assert first
    assert newest
    assert (first.version, first.rows, len(first.files)) == (0, 3, 1)
    assert (newest.version, newest.rows, len(newest.files)) == (1, 5, 2)
    assert all(Path(file).is_file() for file in newest.files)
    assert newest.bytes == sum(Path(file).stat().st_size for file in newest.files)
    assert first.committed_at < newest.committed_at
    assert [(c.version, c.rows) for c in lake.history()] == [(1, 2), (0, 3)]
    times = {commit.version: commit.at for commit in lake.history()}
    assert times == {each.version: each.committed_at for each in (first, newest)}


def test_as_of_gives_the_last_version_before(settings: Settings) -> None:
    append(settings, [delivery()])
    lake = Lake.plays(settings)
    first = lake.snapshot()
    assert first
    between = datetime.now(UTC)
    append(settings, [delivery(minutes=1)])
    travelled = lake.snapshot(as_of=between)
    assert travelled
    assert travelled.version == 0
    with pytest.raises(ConfigurationError, match="holds nothing as of"):
        lake.snapshot(as_of=first.committed_at - timedelta(seconds=1))


@pytest.mark.parametrize("version", [-1, 7])
def test_a_version_that_never_was_is_named(settings: Settings, version: int) -> None:
    append(settings, [delivery()])
    with pytest.raises(ConfigurationError, match=f"version {version} does not exist"):
        Lake.plays(settings).snapshot(version=version)


def test_compaction_keeps_every_row_and_the_old_version(settings: Settings) -> None:
    for i in range(6):
        append(settings, [delivery(minutes=i)])
    lake = Lake.plays(settings)
    assert lake.compact(above_files=10) == 0, "few files are left alone"
    assert lake.compact(above_files=3) == 6
    newest, before = lake.snapshot(), lake.snapshot(version=5)
    assert newest
    assert before
    assert (newest.rows, len(newest.files)) == (6, 1)
    assert (before.rows, len(before.files)) == (6, 6)


def test_nothing_is_lost_when_the_sink_appends_during_compaction(settings: Settings) -> None:
    append(settings, [delivery(minutes=-1)])
    commits = 25

    def sink() -> None:
        for i in range(commits):
            append(settings, [delivery(minutes=i)])

    lake = Lake.plays(settings)
    thread = threading.Thread(target=sink)
    thread.start()
    merged = 0
    while thread.is_alive():
        merged += lake.compact(above_files=2)
        snapshot = lake.snapshot()
        assert snapshot
        assert _count(snapshot.files) == snapshot.rows, "a snapshot is whole at any moment"
    thread.join()
    snapshot = lake.snapshot()
    assert snapshot
    assert snapshot.rows == commits + 1 == _count(snapshot.files)
    assert merged > 0, "no compaction happened: the test shows nothing"


def test_vacuum_respects_the_retention(settings: Settings) -> None:
    for i in range(3):
        append(settings, [delivery(minutes=i)])
    lake = Lake.plays(settings)
    lake.compact(above_files=1)
    assert lake.vacuum(timedelta(days=1)) == []
    assert lake.snapshot(version=2)
    with pytest.raises(ConfigurationError, match="below one day"):
        lake.vacuum(timedelta(hours=23))


def test_an_old_version_is_exported_as_it_was(settings: Settings, tmp_path: Path) -> None:
    append(settings, [delivery(track="old")])
    append(settings, [delivery(track="new", minutes=1)])
    lake = Lake.plays(settings)
    lake.compact(above_files=1)
    before = lake.snapshot(version=0)
    assert before
    target = tmp_path / "it's old.parquet"
    assert lake.export(before, target) == 1
    rows = pq.read_table(target)
    assert rows["title"].to_pylist() == ["old"]
    assert set(rows.column_names) == set(PLAYS.names)
    assert [path.name for path in tmp_path.glob("*.parquet")] == [target.name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("7", {"version": 7}),
        ("2025-03-03T04:00", {"as_of": datetime(2025, 3, 3, 4, tzinfo=UTC)}),
        ("2025-03-03T04:00+02:00", {"as_of": datetime(2025, 3, 3, 2, tzinfo=UTC)}),
    ],
)
def test_a_version_or_a_time_can_be_named(text: str | None, expected: dict[str, Any]) -> None:
    assert moment(text) == expected


def test_what_is_neither_is_told(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="neither a version"):
        moment("yesterday")


def _count(files: tuple[str, ...]) -> int:
    with duckdb.connect() as connection:
        rows = connection.execute("select count(*) from read_parquet(?)", [list(files)])
        return int(rows.fetchall()[0][0])
