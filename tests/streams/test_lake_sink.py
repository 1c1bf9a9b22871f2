"""The lake sink reads the offsets of a table once: each question replays the table's log."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from batch.lake import Lake
from contracts.errors import StoreUnavailable
from contracts.lake_tables import TablePlace, lake_table
from contracts.settings import Settings
from streams.decode import Batch
from streams.errors import PositionLost
from streams.lake_sink import LakeSink
from tests.streams.plays import submission


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what the library is asked about."""
    found: list[str] = []
    ask = DeltaTable.transaction_version

    def noted(table: DeltaTable, app_id: str) -> int | None:
        found.append(app_id.rpartition(":")[2])
        return ask(table, app_id)

    monkeypatch.setattr(DeltaTable, "transaction_version", noted)
    return found


def batch(partition: int, offset: int) -> Batch[Any]:
    return Batch(partition, offset, offset, offset, [(offset, submission("ada", (offset, 1)))], [])


def test_after_its_own_commit_a_sink_asks_nothing(tmp_path: Path, asked: list[str]) -> None:
    sink = LakeSink[Any](TablePlace.in_folder(tmp_path / "plays"), "log", 64)
    for offset in range(5):
        assert sink.write([batch(0, offset), batch(7, offset)]) == 2
    assert len(asked) == 2, "of the two partitions, before the first commit"
    assert sink.write([batch(0, 4), batch(7, 4)]) == 0, "an attempt that got through before"
    with pytest.raises(PositionLost):
        sink.write([batch(0, 9)])
    assert len(asked) == 2
    assert {p: n for p, n in sink.positions().items() if n} == {0: 5, 7: 5}
    assert len(asked) == 64


def test_after_the_commit_of_another_it_asks_about_its_own_partitions(
    tmp_path: Path, asked: list[str]
) -> None:
    place = TablePlace.in_folder(tmp_path / "plays")
    one, other = LakeSink[Any](place, "log", 64), LakeSink[Any](place, "log", 64)
    for offset in range(3):
        assert one.write([batch(0, offset)]) == 1
        assert other.write([batch(1, offset)]) == 1
    assert len(asked) == 6
    assert other.write([batch(0, 3)]) == 1  # the partition has moved to the other process
    with pytest.raises(PositionLost):
        one.write([batch(0, 3), batch(2, 0)])
    assert one.write([batch(0, 3)]) == 0
    table = place.open()
    assert table is not None
    assert table.to_pyarrow_table().num_rows == 7


def test_a_table_that_was_replaced_is_asked_again(tmp_path: Path, asked: list[str]) -> None:
    first, second = (TablePlace.in_folder(tmp_path / name / "plays") for name in "ab")
    sink = LakeSink[Any](first, "log", 1)
    assert sink.write([batch(0, 0)]) == 1
    LakeSink[Any](second, "log", 1).write([batch(0, 0)])
    LakeSink[Any](second, "log", 1).write([batch(0, 1)])
    sink.place = second
    with pytest.raises(PositionLost):
        sink.write([batch(0, 5)])
    assert sink.positions() == {0: 2}


def test_only_texts_are_written_as_a_dictionary_also_by_a_compaction(tmp_path: Path) -> None:
    place = TablePlace.in_folder(tmp_path / "plays")
    sink = LakeSink[Any](place, "log", 1)
    for offset in range(3):
        sink.write([batch(0, offset)])
    assert Lake(place).compact(above_files=1) == 3
    files = list(Path(place.uri).rglob("*.parquet"))
    assert len(files) == 4
    for file in files:
        group = pq.ParquetFile(file).metadata.row_group(0)
        columns = {c.path_in_schema: c for c in map(group.column, range(group.num_columns))}
        coded = {name for name, column in columns.items() if column.has_dictionary_page}
        assert {"artist", "title", "log_id"} <= coded
        assert not {"played_at", "kafka_offset", "position"} & coded
        assert columns["played_at"].is_stats_set
        assert {column.compression for column in columns.values()} == {"SNAPPY"}


@pytest.mark.timeout(45)  # less than the 60 s of a request without the shorter limit
def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(
            lake="s3://music", s3_endpoint=endpoint, s3_key="key", s3_secret="secret"
        )
        place = lake_table(settings, "plays")
        assert place.options["timeout"] == "60s"
        with pytest.raises(StoreUnavailable):
            LakeSink[Any](place.within(0.5), "log", 1).positions()


def test_a_table_in_a_folder_has_no_such_limit() -> None:
    assert TablePlace("plays", "/lake/plays").within(8).options == {}
