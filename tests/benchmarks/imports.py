"""The importer on a file of the shape of Last.fm-1K: rows a second, and memory against size.

Three measurements, each in a process of its own: reading the lines of the file and nothing else
(the floor), parsing every row, and importing its beginning end to end through the API of a whole
stack. Peak memory is taken of the file and of one a tenth of its size: streaming means both are
equal.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from infra.imports.formats import FORMATS, recognise
from infra.imports.members import members
from infra.imports.rows import Options
from infra.replay.reconcile import wait_for_workers
from tests.benchmarks.figures import machine
from tests.benchmarks.stack import whole

#: As in the real set: listeners one after the other, newest play first, a bad row now and then.
LISTENERS = 992
_NEWEST = 1_241_420_000
_BAD_EVERY = 10_000


def run(
    *, rows: int = 5_000_000, post: int = 200_000, broker: str = "tansu", seed: int = 1
) -> dict[str, Any]:
    """Measure and return the figures.

    Parameters
    ----------
    rows
        Of the file that is parsed.
    post
        Rows imported end to end; 0: none.
    """
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        large, small = Path(folder, "large.tsv"), Path(folder, "small.tsv")
        generate(large, rows, seed)
        generate(small, rows // 10, seed)
        figures: dict[str, Any] = {"rows": rows, "megabytes": large.stat().st_size >> 20}
        for name, file in (("", large), ("_of_a_tenth", small)):
            figures[f"parse{name}"] = _child("parse", file)
        figures["floor"] = _child("floor", large)
        figures["parse_of_floor"] = round(
            figures["parse"]["rows_per_s"] / figures["floor"]["rows_per_s"], 3
        )
        figures["memory_ratio"] = round(
            figures["parse"]["peak_mb"] / figures["parse_of_a_tenth"]["peak_mb"], 3
        )
        if post:
            figures["import"] = _end_to_end(Path(folder), post, broker, seed)
    return figures | {"machine": machine()}


def generate(file: Path, rows: int, seed: int) -> None:
    """Write a file of ``rows`` rows."""
    draw = random.Random(seed)
    second, listener = _NEWEST, 0
    with file.open("w") as out:
        for row in range(rows):
            if row * LISTENERS // rows >= listener:
                listener, second = listener + 1, _NEWEST - draw.randrange(86_400)
            second -= draw.randrange(30, 600)
            if row % _BAD_EVERY == _BAD_EVERY - 1:
                out.write(f"user_{listener:06d}\ta row that is torn\n")
                continue
            track = int(draw.random() ** 3 * 50_000)
            artist = track // 12
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
            mbid = f"{track:08x}-0000-4000-8000-{artist:012x}" if track % 3 else ""
            out.write(
                f"user_{listener:06d}\t{stamp}\t{artist:08x}-0000-4000-8000-000000000000"
                f"\tArtist {artist}\t{mbid}\tTrack {track}\n"
            )


def _child(what: str, file: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.imports", what, str(file)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(answer.stdout)
    return figures


def _end_to_end(folder: Path, rows: int, broker: str, seed: int) -> dict[str, Any]:
    file = folder / "post.tsv"
    generate(file, rows, seed)
    with whole(broker) as stack:
        command = [
            sys.executable, "-m", "infra.cli", "import", str(file), "--api", stack.api,
            "--home", str(folder), "--json",
        ]  # fmt: skip
        environ = {**os.environ, "SEGUE_TOKEN": stack.settings.admin_token}
        started = time.monotonic()
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            report = json.loads(process.stdout.read())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, report
        wait_for_workers(stack.settings, timeout=600)
        everywhere = time.monotonic() - started
    return {
        "plays": report["kept"],
        "rejected": report["rejected"],
        "plays_per_s": report["plays_per_s"],
        "retries": report["retries"],
        "everywhere_plays_per_s": round(report["kept"] / everywhere, 1),
        "client_cpu_us_per_play": round(
            (usage.ru_utime + usage.ru_stime) / report["kept"] * 1e6, 2
        ),
        "peak_mb": usage.ru_maxrss >> 10,
    }


def _measure(what: str, file: Path) -> dict[str, Any]:
    """Read or parse a file in this process."""
    started, busy = time.perf_counter(), time.process_time()
    rows = refused = 0
    with file.open("rb") as stream:
        if what == "floor":
            for _ in stream:
                rows += 1
        else:
            for member in members(stream, file.name):
                found = recognise(member.stream.head(), Options())
                assert found == "lastfm-1k"
                for record in FORMATS[found][0](member.stream, Options()):
                    rows += 1
                    refused += record.refused is not None
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    return {
        "rows_per_s": round(rows / seconds),
        "rows_per_cpu_s": round(rows / cpu),
        "refused": refused,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]))))
