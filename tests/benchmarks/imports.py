"""The importer on a file of the shape of Last.fm-1K: rows a second, and memory against size.

Three measurements, each in a process of its own: reading the lines of the file and nothing else
(the floor), parsing every row, and importing its beginning end to end through the API of a whole
stack. Memory is taken after a fifth, three fifths and all of the file, and of a file a tenth of its
size: streaming means they are equal. Rows must reconcile: those of the file are plays or refused,
and those posted are in every store.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from confluent_kafka import Consumer, TopicPartition

from contracts.events import decode_submission
from contracts.topics import Topics
from infra.operations.imports.formats import FORMATS, recognise
from infra.operations.imports.members import members
from infra.operations.imports.rows import Options
from infra.operations.replay.reconcile import wait_for_workers
from infra.stack.process import python
from infra.stack.progress import ends
from infra.stack.stack import Stack
from tests.benchmarks.figures import machine
from tests.benchmarks.stack import api_alone, whole

#: As in the real set: listeners one after the other, newest play first, a bad row now and then.
LISTENERS = 992
_NEWEST = 1_241_420_000
_BAD_EVERY = 10_000


def run(
    *,
    rows: int = 5_000_000,
    post: int = 200_000,
    folds: bool = True,
    broker: str = "tansu",
    seed: int = 1,
) -> dict[str, Any]:
    """Measure rows a second beside reading lines, and memory against the size of the file.

    Parameters
    ----------
    rows
        Of the file that is parsed.
    post
        Rows imported end to end; 0: none.
    folds
        Whether the workers follow meanwhile; without them the API and the log have the machine.
    """
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        large, small = Path(folder, "large.tsv"), Path(folder, "small.tsv")
        generate(large, rows, seed)
        generate(small, rows // 10, seed)
        figures: dict[str, Any] = {"rows": rows, "megabytes": large.stat().st_size >> 20}
        for name, file in (("", large), ("_of_a_tenth", small)):
            figures[f"parse{name}"] = _child("parse", file)
        assert figures["parse"]["rows"] == rows
        assert figures["parse"]["refused"] == rows // _BAD_EVERY
        figures["floor"] = _child("floor", large)
        large.unlink()
        figures["parse_of_floor"] = round(
            figures["parse"]["rows_per_s"] / figures["floor"]["rows_per_s"], 3
        )
        figures["memory_ratio"] = round(
            figures["parse"]["peak_mb"] / figures["parse_of_a_tenth"]["peak_mb"], 3
        )
        if post:
            figures["import"] = _end_to_end(Path(folder), post, broker, seed, folds)
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


def _end_to_end(folder: Path, rows: int, broker: str, seed: int, folds: bool) -> dict[str, Any]:
    file = folder / "post.tsv"
    generate(file, rows, seed)
    with whole(broker) if folds else api_alone(broker) as stack:
        command = python(
            "infra.cli", "import", str(file), "--api", stack.api,
            "--home", str(folder), "--json",
        )  # fmt: skip
        environ = {**os.environ, "SEGUE_TOKEN": stack.settings.admin_token}
        started = time.monotonic()
        memory: dict[str, int] = {}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
            while not (ended := _ended(process)):
                time.sleep(0.2)
                _note_memory(process.pid, folder, rows, memory)
            assert process.stdout is not None
            report = json.loads(process.stdout.read())
        assert ended.code == 0, report
        assert report["read"] == rows
        assert report["rejected"] == {"bad-columns": rows // _BAD_EVERY}
        in_the_log = _plays_in(stack)
        assert in_the_log == report["kept"] or report["retries"], (in_the_log, report)
        if folds:
            wait_for_workers(stack.settings, timeout=600)
        everywhere = time.monotonic() - started
    return {
        "plays": report["kept"],
        "plays_in_the_log": in_the_log,
        "rejected": report["rejected"],
        "plays_per_s": report["plays_per_s"],
        "retries": report["retries"],
        **({"everywhere_plays_per_s": round(report["kept"] / everywhere, 1)} if folds else {}),
        "client_cpu_us_per_play": round(ended.cpu_seconds / report["kept"] * 1e6, 2),
        "rss_mb": memory,
        "peak_mb": ended.peak_mb,
    }


class _End(NamedTuple):
    code: int
    cpu_seconds: float
    peak_mb: int


def _ended(process: subprocess.Popen[bytes]) -> _End | None:
    """Return how a process ended, ``None`` while it runs."""
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if not pid:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return _End(process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10)


def _note_memory(pid: int, home: Path, rows: int, memory: dict[str, int]) -> None:
    """Note the memory of an import when it passes a fifth and three fifths, and last of all."""
    states = [json.loads(state.read_bytes()) for state in home.glob("imports/*/state.json")]
    kept = sum(state["kept"] for state in states)
    with contextlib.suppress(psutil.Error):
        size = int(psutil.Process(pid).memory_info().rss) >> 20
        for part in (1, 3):
            if kept >= rows * part // 5:
                memory.setdefault(f"{part}/5", size)
        if size:  # none is left of a process that has just ended
            memory["last"] = size


def _plays_in(stack: Stack) -> int:
    """Count the plays in the log."""
    topic = Topics(stack.settings.namespace).plays
    consumer = Consumer({"bootstrap.servers": stack.settings.kafka, "group.id": "bench-count"})
    places = ends(stack.settings)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(len(places))])
    waiting, plays = sum(places.values()), 0
    while waiting:
        for message in consumer.consume(1000, 1.0):
            plays += len(decode_submission(message.value()).plays)
            waiting -= 1
    consumer.close()
    return plays


def _measure(what: str, file: Path) -> dict[str, Any]:
    """Read or parse a file in this process."""
    size, memory = file.stat().st_size, {}
    marks = {size * part // 5: f"{part}/5" for part in (1, 3)}
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
                    if not rows % 10_000 and marks and stream.tell() >= min(marks):
                        memory[marks.pop(min(marks))] = _rss_mb()
            memory["5/5"] = _rss_mb()
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    return {
        "rows_per_s": round(rows / seconds),
        "rows_per_cpu_s": round(rows / cpu),
        "rows": rows,
        "refused": refused,
        "rss_mb": memory,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def _rss_mb() -> int:
    return int(psutil.Process().memory_info().rss) >> 20


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]))))
