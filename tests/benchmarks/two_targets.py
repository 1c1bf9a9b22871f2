"""The nightly on both targets over real plays: rows, checksums, seconds a step.

``python -m tests.benchmarks.two_targets FILE [LIMIT]`` lands a file of interactions in a lake,
moves it to an emulated Snowflake through stage and Snowpipe, runs ``segue nightly`` on both,
compares every mart, and prints one JSON object; exit code 1 where they differ. The seconds of the
Snowflake side are those of an emulation: they say nothing about Snowflake.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from batch.nightly import nightly
from contracts.ids import event_id, partition_of, track_id
from contracts.lake import PARTITION_BY, PLAYS
from contracts.settings import Settings
from infra.interactions import read
from infra.snowflake.backfill import backfill
from infra.snowflake.compare import compare
from tests.snowflake_emulator.deployment import deployed


def land(settings: Settings, file: Path, limit: int) -> int:
    """Write a file's plays to the lake as the lake sink does; return how many."""
    plays = read(file, limit=limit)
    offsets = [0] * settings.partitions
    rows: list[dict[str, Any]] = []
    now = datetime.now(UTC)
    for number, (user, _, second) in enumerate(plays.iter_rows()):
        artist, title = plays.name(number, file.stem)
        partition = partition_of(user, settings.partitions)
        rows.append(
            dict.fromkeys(PLAYS.names)
            | {
                "event_id": event_id(user, second * 1000, artist, title),
                "user_id": user,
                "track_id": track_id(artist, title),
                "artist": artist,
                "title": title,
                "played_at": second * 1000,
                "received_at": now,
                "source": "two-targets/1",
                "log_id": "log",
                "kafka_partition": partition,
                "kafka_offset": offsets[partition],
                "position": 0,
                "landed_at": now,
                "landed_date": now.date(),
            }
        )
        offsets[partition] += 1
    columns = {name: [row[name] for row in rows] for name in PLAYS.names}
    table = pa.table([pa.array(columns[f.name], f.type) for f in PLAYS], schema=PLAYS)
    write_deltalake(str(settings.lake_dir / "plays"), table, partition_by=PARTITION_BY)
    return len(rows)


def main() -> int:
    """Run it; the arguments are the file and how many plays of it."""
    file, limit = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder)) as snowflake:
        settings = Settings(home=Path(folder) / "home")
        settings.lake_dir.mkdir(parents=True)
        said["plays"] = land(settings, file, limit)
        began = time.monotonic()
        said["landed"] = [vars_of(m) for m in backfill(settings, snowflake.loader)]
        said["backfill_seconds"] = round(time.monotonic() - began, 1)
        os.environ |= snowflake.environ(snowflake.transformer) | {"SEGUE_SNOWFLAKE_THREADS": "1"}
        for target in ("duckdb", "snowflake"):
            run = nightly(settings, target=target, until="reports")
            said[target] = {step.name: step.seconds for step in run.steps} | {"error": run.error}
        found = compare(settings, snowflake.transformer)
        said["marts"] = {
            each.table: {"rows": each.duckdb and each.duckdb.rows, "same": each.same}
            for each in found
        }
        said["same"] = bool(found) and all(each.same for each in found)
    print(json.dumps(said, indent=2))
    return 0 if said["same"] else 1


def vars_of(moved: Any) -> dict[str, Any]:
    """Return the fields of a slotted dataclass."""
    return {name: getattr(moved, name) for name in moved.__slots__}


if __name__ == "__main__":
    sys.exit(main())
