"""This version reads a home of an earlier one: ``home.tar.xz``, written by ``make_home.py``.

Left to others: the tables of PostgreSQL (``tests/integration/test_migrations.py``), and the shapes
of messages that no version wrote (``tests/contracts/test_compatibility.py``).
"""

from __future__ import annotations

import base64
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from batch import nightly, warehouse
from batch.lake import Lake
from batch.quality import check_raw
from batch.runs import Runs
from contracts import batch_view, erasures
from contracts.erased import Erased
from contracts.events import DeadLetter, Feedback, Submission
from contracts.features import Listener
from contracts.ids import track_key, user_key
from contracts.impressions import Impression
from contracts.lake import TABLES
from contracts.lake_tables import lake_table
from contracts.settings import Settings
from contracts.topics import Kind
from online_model import ModelConfig, ModelDirectory
from streams.decode import Batch, Decoder, Record
from streams.lake_sink import LakeSink

ARCHIVE = Path(__file__).parent / "home.tar.xz"
LOG, PARTITIONS = "log-of-an-earlier-version", 2
START = 1_700_000_000
KINDS = {"plays": Kind.PLAYS, "feedback": Kind.FEEDBACK, "impressions": Kind.IMPRESSIONS}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return Settings(home=tmp_path / "home", partitions=PARTITIONS)


def messages(settings: Settings) -> dict[str, list[tuple[int, bytes]]]:
    found = json.loads((settings.home / "messages.json").read_text())
    return {kind: [(at, text.encode()) for at, text in each] for kind, each in found.items()}


def decoded(settings: Settings, table: str) -> list[Batch[Any]]:
    """Return the log of a topic, decoded by this version."""
    decode = Decoder(Erased(), PARTITIONS).of(KINDS[table])
    values = messages(settings)[table]
    batches = []
    for partition in range(PARTITIONS):
        mine = [value for at, value in values if at == partition]
        records = [Record(offset, value) for offset, value in enumerate(mine)]
        batches.append(decode(records, partition=partition, start=0))
    return batches


def test_every_message_of_the_log_means_what_it_meant(settings: Settings) -> None:
    batches = {table: decoded(settings, table) for table in KINDS}
    assert not [b.rejected for each in batches.values() for b in each if b.rejected]
    found = {t: [m for b in each for _, m in b.messages] for t, each in batches.items()}
    plays: list[Submission] = found["plays"]
    assert sorted((s.user_id, len(s.plays)) for s in plays) == [
        ("ada", 1), ("ada", 3), ("bob", 1), ("bob", 3),
    ]  # fmt: skip
    full = next(s for s in plays if s.user_id == "ada" and len(s.plays) == 3).plays[1]
    assert (full.artist, full.title, full.album) == ("Air", "Song 1", "Moon Safari")
    assert (full.played_at, full.received_at) == ((START + 300) * 1000, (START + 300) * 1000 + 500)
    assert (full.ms_played, full.duration_ms, full.skipped) == (60_000, 240_000, False)
    assert (full.source, full.extra) == ("navidrome/0.53", {"tracknumber": 1})
    bare = next(s for s in plays if len(s.plays) == 1).plays[0]
    assert (bare.album, bare.ms_played, bare.skipped, bare.extra) == (None, None, None, None)
    feedback: list[Feedback] = found["feedback"]
    assert {(f.user_id, f.kind, f.title) for f in feedback} == {
        ("ada", "love", "Song 1"), ("bob", "love", "Song 1"),
    }  # fmt: skip
    shown: list[Impression] = found["impressions"]
    assert shown[0].matrix().tolist() == [[1.5, 1.0, 1.0, 2.0], [0.5, 0.25, 3.0, 4.0]]


def test_dead_letters_and_erasures_are_read(settings: Settings) -> None:
    found = messages(settings)
    ((_, letter),) = found["dead_letters"]
    read = msgspec.json.decode(letter, type=DeadLetter)
    assert (read.topic, read.offset, read.reason, read.value) == (
        "segue.plays", 3, "bad-json", b"{",
    )  # fmt: skip
    ((_, erasure),) = found["erasures"]
    gone = Erased()
    gone.add(erasures.decode(erasure))
    (before,) = [e for each in gone._listeners.values() for e in each]
    assert before.covers("another log", 0, 0, START * 1000)
    assert not before.covers("another log", 0, 0, START * 1000 + 1)


@pytest.mark.parametrize("table", TABLES)
def test_the_sink_appends_to_the_lake_where_it_stopped(settings: Settings, table: str) -> None:
    sink = LakeSink[Any](lake_table(settings, table), LOG, PARTITIONS)
    batches = decoded(settings, table)
    ends = {b.partition: b.last + 1 for b in batches}
    assert sink.positions() == ends
    assert sink.write([b for b in batches if b.messages]) == 0, "it is all there"
    before = Lake(sink.place).snapshot()
    assert before is not None
    more = []
    for batch in batches:
        if batch.messages:
            offset, message = batch.last + 1, batch.messages[0][1]
            more.append(Batch(batch.partition, offset, offset, offset, [(offset, message)], []))
    rows = sink.write(more)
    after = Lake(sink.place).snapshot()
    assert after is not None
    assert rows > 0
    assert (after.version, after.rows) == (before.version + 1, before.rows + rows)


def test_the_warehouse_can_be_built_from_the_lake(settings: Settings) -> None:
    snapshot = Lake.plays(settings).snapshot()
    assert snapshot is not None
    assert snapshot.rows == 8
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema raw")
        connection.execute(f"create view raw.plays as {warehouse.rows_sql(snapshot)}")
        checks = check_raw(
            lambda sql, parameters=(): connection.execute(sql, list(parameters)).fetchall(),
            datetime.now(UTC),
        )
    assert [check.name for check in checks if check.severity == "error" and not check.ok] == []
    assert len(checks) > 1, "the columns are not those of this version"


def test_a_night_after_the_update_builds_the_warehouse_from_nothing(settings: Settings) -> None:
    runs = Runs(settings.paths.runs)
    (run,) = runs.all()
    assert (run.id, run.status, run.lake_versions) == ("2025-11-26-duckdb-1", "ok", {"plays": 0})
    run.steps = [msgspec.structs.replace(run.steps[0], name="build")]
    runs.save(run)
    assert nightly._is_redefined(runs, "duckdb")


def test_the_model_is_learned_anew_from_the_log(settings: Settings) -> None:
    """Its arrays have moved since: the old files are named, not misread, and then replaced."""
    directory = ModelDirectory(settings.paths.model)
    model = directory.resume(ModelConfig(tracks=64, listeners=16, document_bytes=64))
    (refused,) = directory.refused
    assert "layout 3, this model reads 5" in str(refused)
    assert (model.plays_learned, model.offsets) == (0, {})
    model.learn_one("ada", "intro")
    directory.publish(model)
    assert directory.open_reader().plays_learned == 1
    directory.snapshot(model)
    directory.close()
    again = ModelDirectory(settings.paths.model)
    assert again.resume().plays_learned == 1


def test_the_nightly_table_and_the_windows_are_served_on(settings: Settings) -> None:
    folder = settings.paths.batch_view
    assert batch_view.current(folder) == 3
    view = batch_view.read(folder, 3)
    assert view.keys.tolist() == [track_key("Air", "Song 1"), track_key("Air", "Song 2")]
    assert view.manifest.metrics == {"new.hr@10": 0.25}
    stored = json.loads((settings.home / "features.json").read_text())
    listener = Listener.unpack(base64.b64decode(stored["blob"]))
    assert listener.seconds.tolist() == [START, START + 300, START + 600]
    assert listener.tracks.tolist() == [track_key("Air", f"Song {i}") for i in range(3)]
    assert listener.ratios.tolist() == [25] * 3
    assert stored["user_key"] == user_key("ada"), "the model's key of a listener has changed"
