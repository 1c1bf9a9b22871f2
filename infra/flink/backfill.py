"""Counting days again from the lake, late plays and all: the same SQL, in batch."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from confluent_kafka import KafkaException

from batch.lake import Lake
from batch.runs import Runs
from contracts import kafka_client
from contracts.deliveries import Deliveries
from contracts.errors import BrokerUnavailable, ConfigurationError, SegueError
from contracts.ids import artist_id
from contracts.kafka import ensure_topics
from contracts.lake_tables import lake_place
from contracts.plays import COUNTED_MS
from contracts.settings import Settings
from contracts.topics import Topics
from infra.flink.environment import command, environ
from infra.flink.process import HEAP
from streams.flink.rows import trace

#: What a batch run counts. Not trending lists: they show only the present.
JOBS = ("sessions", "uniques", "suspects")
_DAY = timedelta(days=1)
_ACK_SECONDS = 60.0
# Each play once, the first delivery of it, late or not.
_PLAYS = """
    select user_id, event_id, track_id, artist_id(artist) as artist_id, artist, title,
        epoch_ms(played_at) as played_at,
        not coalesce(skipped, false) and coalesce(ms_played, {counted}) >= {counted} as heard,
        trace(track_id, epoch_ms(played_at)) as trace
    from read_parquet({files}, hive_partitioning = true)
    where played_at >= $begin and played_at < $end
    qualify row_number() over (
        partition by user_id, event_id order by received_at, kafka_partition, kafka_offset) = 1"""


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a batch run has counted: ``run`` marks its rows, ``rows`` how many of each job."""

    run: int
    plays: int
    rows: dict[str, int]


def backfill(settings: Settings, begin: date, end: date) -> Backfill:
    """Count the days from `begin` to `end`, both included, and publish the results.

    A day before and after is read too: sessions go over midnight. Only results that begin within
    the days are published.

    Raises
    ------
    ConfigurationError
        The days are the wrong way round, the lake is empty, or Flink is not installed.
    StoreUnavailable
        A nightly, an erasure or another backfill runs, or the lake cannot be read.
    """
    if end < begin:
        raise ConfigurationError(f"--from {begin} is after --to {end}")
    with Runs(settings.paths.runs).lock():  # so that no erasure deletes the files that are read
        return _backfill(settings, begin, end)


def _backfill(settings: Settings, begin: date, end: date) -> Backfill:
    snapshot = Lake.plays(settings).on_disk()
    if snapshot is None or not snapshot.files:
        raise ConfigurationError(f"the lake {lake_place(settings)} holds no plays yet")
    # Counting takes minutes, so check first that the broker answers and accepts this client.
    ensure_topics(
        settings, Topics(settings.namespace).configs(settings.plays_retention_days, flink=True)
    )
    run = int(time.time() * 1000)
    settings.paths.flink.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="backfill-", dir=settings.paths.flink))
    try:
        plays = _export(snapshot.files, begin - _DAY, end + 2 * _DAY, folder / "plays")
        _count(folder, run)
        results = {job: _results(folder / job, begin, end + _DAY) for job in JOBS}
        _publish(settings, results)
    finally:
        shutil.rmtree(folder)
    return Backfill(run, plays, {job: len(found) for job, found in results.items()})


def _export(files: tuple[str, ...], begin: date, end: date, folder: Path) -> int:
    """Write the plays of some days as JSON lines; return how many."""
    folder.mkdir(parents=True)
    with duckdb.connect() as db:
        db.execute("set TimeZone = 'UTC'")
        db.create_function("artist_id", artist_id, ["varchar"], "varchar")
        db.create_function("trace", trace, ["varchar", "bigint"], "bigint")
        query = _PLAYS.format(files=list(files), counted=COUNTED_MS)
        span = {"begin": _midnight(begin), "end": _midnight(end)}
        db.execute(f"create temp table plays as {query}", span)
        db.execute(f"copy plays to '{folder / 'plays.json'}' (format json)")
        return int(db.execute("select count(*) from plays").fetchall()[0][0])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _count(folder: Path, run: int) -> None:
    words = command(
        "--files", str(folder / "plays"), "--out", str(folder), "--run", str(run),
        "--jobs", ",".join(JOBS), "--set", f"io.tmp.dirs={folder}",
    )  # fmt: skip
    done = subprocess.run(
        words, env={**os.environ, **environ(HEAP, folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no output"]
        raise SegueError(f"the batch run failed: {lines[-1]}")


def _results(folder: Path, begin: date, end: date) -> list[dict[str, Any]]:
    """Return the results that begin within the days."""
    first, last = (1000 * int(_midnight(day).timestamp()) for day in (begin, end))
    return [row for row in _rows(folder) if first <= _begins(row) < last]


def _begins(row: dict[str, Any]) -> int:
    return int(row["hour"] if "hour" in row else row["started_at"])


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("part-*")):
        for line in path.read_text().splitlines():
            yield msgspec.json.decode(line)


def _publish(settings: Settings, results: dict[str, list[dict[str, Any]]]) -> None:
    topics = Topics(settings.namespace).results
    producer = kafka_client.producer(settings, "flink-backfill")
    deliveries = Deliveries()
    try:
        for job, rows in results.items():
            for row in rows:
                key = str(row.pop("key")).encode()
                while True:
                    try:
                        producer.produce(
                            topics[job], msgspec.json.encode(row), key, on_delivery=deliveries
                        )
                        break
                    except BufferError:  # the queue is full: let it drain
                        producer.poll(0.5)
                producer.poll(0)
        why = deliveries.wait(producer, _ACK_SECONDS)
    except KafkaException as error:
        raise BrokerUnavailable(f"the results cannot be published: {error}") from None
    if why:
        raise BrokerUnavailable(f"the results cannot be published: {why}; run again")
