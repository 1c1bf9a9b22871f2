"""The nightly over a generated warehouse: wall time, processor time, peak memory, seconds a step.

Each nightly is cold: an empty home but for the lake (plays alone, no lists), in a process of its
own; ``again`` is the next night without a new play. The floor is one statement, in a process of
its own too: DuckDB reads the lake and writes each play once into one table.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from deltalake import write_deltalake

from contracts.lake import PARTITION_BY, PLAYS
from contracts.settings import Settings
from infra.stack.process import python
from tests.benchmarks.figures import machine

ROOT = Path(__file__).resolve().parents[2]
#: Plays generated at once: bounds the memory of the generator, not of what is measured.
CHUNK = 500_000

#: A year of sessions of ten plays, in order of time. Activity falls off like a power. Two plays in
#: three are of one of the listener's three tastes (a hundred tracks each), the others of what is
#: popular; three in ten are skipped; one delivery in a hundred comes twice, one in a thousand is
#: bad.
_PLAYS = """
with sessions as (
    select
        i,
        i // 10 as session,
        floor(
            pow(hash(i // 10 * 7 + 1) % 1000000 / 1e6, 2) * greatest(10, $total // 100)
        )::integer as listener,
        greatest(300, $total // 40)::integer as tracks,
        hash(i * 7 + 2) % 1000000 / 1e6 as b,
        hash(i * 7 + 3) % 1000000 / 1e6 as c
    from range($first, $last) as t(i)
),
plays as (
    select
        i,
        c,
        listener,
        case
            when hash(i * 7 + 4) % 3 = 0 then floor(pow(b, 3) * tracks)::integer
            else (
                hash(listener * 3 + hash(i * 7 + 5) % 3) % (tracks // 100) * 100
                + floor(pow(b, 2) * 100)
            )::integer
        end as track,
        make_timestamp_ms(
            1735689600000
            + (session * (315360000000 / $total))::bigint
            + (hash(session) % 3000000 + i % 10 * 250000)::bigint
        ) as started
    from sessions
)
select
    md5(i::varchar) || '-seg' as event_id,
    'listener-' || listener as user_id,
    md5('track' || track) as track_id,
    'Artist ' || track // 12 as artist,
    case when i % 1000 = 0 then '' else 'A Song Called ' || track end as title,
    case when track % 9 > 0 then 'Album ' || track // 10 end as album,
    started as played_at,
    started + interval 1 minute as received_at,
    (c * 240000)::bigint as ms_played,
    240000::bigint as duration_ms,
    c < 0.3 as skipped,
    case when c < 0.3 then 'fwdbtn' end as reason_end,
    'navidrome/0.53' as source,
    null::varchar as session_hint,
    null::varchar as impression_id,
    null::varchar as extra,
    'log' as log_id,
    (i % 4)::integer as kafka_partition,
    i * 2 + copy as kafka_offset,
    0::integer as position,
    started + to_minutes(2 + copy) as landed_at,
    (started + to_minutes(2 + copy))::date as landed_date
from plays, (values (0), (1)) as copies(copy)
where copy = 0 or i % 100 = 7
"""


def generate(settings: Settings, plays: int) -> None:
    """Write a lake of ``plays`` plays (and one repeat for every hundred)."""
    path = settings.paths.lake / "plays"
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for first in range(0, plays, CHUNK):
            numbers = {"first": first, "last": min(plays, first + CHUNK), "total": plays}
            table = connection.sql(_PLAYS, params=numbers).to_arrow_table().cast(PLAYS)
            write_deltalake(str(path), table, mode="append", partition_by=PARTITION_BY)


def measure(settings: Settings) -> dict[str, Any]:
    """Run one nightly and return its figures: seconds, MB, rows."""
    started = time.monotonic()
    process = subprocess.Popen(
        python("infra.cli", "nightly", "--json"),
        cwd=ROOT,
        env=os.environ | settings.environ(),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    run = json.loads(output)
    return {
        "status": run["status"],
        "error": run["error"],
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": usage.ru_maxrss // 1024,
        "steps": {
            step["name"]: {
                "s": step["seconds"],
                "cpu_s": step["cpu_seconds"],
                "peak_mb": step["peak_mb"],
            }
            for step in run["steps"]
        },
        "slowest_nodes_s": _slowest(settings.paths.warehouse / "target"),
        "rows": next(step["rows"] for step in run["steps"] if step["name"] == "build"),
        "warehouse_mb": settings.paths.warehouse_file.stat().st_size // 2**20,
    }


def _slowest(target: Path, most: int = 12) -> dict[str, float]:
    """Return the seconds of the dbt nodes that took longest, models and tests."""
    results = json.loads((target / "run_results.json").read_bytes())["results"]
    results.sort(key=lambda node: -node["execution_time"])
    return {
        node["unique_id"].split(".")[2]: round(node["execution_time"], 2) for node in results[:most]
    }


def floor(settings: Settings) -> dict[str, float]:
    """Return seconds and MB of reading the lake once and writing each play once."""
    files = [str(path) for path in (settings.paths.lake / "plays").rglob("*.parquet")]
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", _FLOOR, str(settings.home), *files])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    (settings.home / "floor.duckdb").unlink()
    return {
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": usage.ru_maxrss // 1024,
    }


_FLOOR = """
import sys, duckdb
home, *files = sys.argv[1:]
with duckdb.connect(home + "/floor.duckdb") as connection:
    connection.execute("set memory_limit = '4GB'; set preserve_insertion_order = false")
    connection.execute("set enable_progress_bar = false")
    connection.execute(
        "create table plays as select distinct on (event_id) * from read_parquet($files)",
        {"files": files},
    )
"""


def run(plays: Sequence[int] = (1_000_000,), *, again: bool = True) -> dict[str, Any]:
    """Measure seconds and memory of a cold nightly by step, beside writing each play once.

    ``growth`` is the cost of a play against that in the smallest lake.

    Parameters
    ----------
    plays
        Sizes of the lake.
    again
        Measure the next night, without a new play, too.
    """
    sizes: list[dict[str, Any]] = []
    for number in sorted(plays):
        home = Path(tempfile.mkdtemp(prefix="segue-nightly-"))
        try:
            settings = Settings(home=home)
            # In a process of its own: a child's peak begins with the memory of its parent.
            generator = multiprocessing.get_context("spawn").Process(
                target=generate, args=(settings, number)
            )
            generator.start()
            generator.join()
            assert generator.exitcode == 0
            least = floor(settings)
            cold = measure(settings)
            size = {"plays": number, "floor": least, "cold": cold}
            size["cpu_of_floor"] = round(cold["cpu_s"] / least["cpu_s"], 1)
            size["wall_of_floor"] = round(cold["wall_s"] / least["wall_s"], 1)
            if again:
                size["again"] = measure(settings)
            sizes.append(size)
        finally:
            shutil.rmtree(home)
        first = sizes[0]
        size["growth"] = {
            name: round(cold[name] / first["cold"][name] / (number / first["plays"]), 2)
            for name in ("wall_s", "cpu_s")
        }
    return {"sizes": sizes, "machine": machine()}
