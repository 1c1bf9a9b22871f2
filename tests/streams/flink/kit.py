"""Running the jobs as their own process, and reading what they publish."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from contracts import results, suspects
from contracts.settings import Settings
from contracts.topics import Topics
from infra.flink.environment import command, environ
from tests.conftest import ROOT

PYTHON = ROOT / ".venv-flink" / "bin" / "python"
#: Compiles less: right for a short run, wrong for a long one.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LIGHT = f"-Xmx768m {QUICK}"
DECODERS: dict[str, Callable[[bytes | None], Any]] = {
    "trending": results.decode_trending,
    "sessions": results.decode_session,
    "uniques": results.decode_uniques,
    "suspects": suspects.decode,
    "late": results.decode_late,
}


def needs_flink() -> None:
    """Skip where the environment of Flink is missing."""
    if not PYTHON.exists() or shutil.which("java") is None:
        pytest.skip("needs Flink: Java 17, and make flink")


def start(
    settings: Settings,
    log: Path,
    *arguments: str,
    source: Path = ROOT,
    jvm: str = LIGHT,
    level: str = "WARN",
) -> subprocess.Popen[bytes]:
    """Start the jobs in a session of their own.

    Parameters
    ----------
    source
        Folder of the packages to run.
    level
        What Java logs.
    """
    scratch = log.parent / "java"
    scratch.mkdir(exist_ok=True)
    own = {**environ(jvm, scratch), "PYTHONPATH": str(source), "FLINK_LOG_LEVEL": level}
    with log.open("ab") as out:
        return subprocess.Popen(
            command(*arguments),
            env={**os.environ, **settings.environ(), **own},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and everything it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def run(settings: Settings, log: Path, *arguments: str, watch: Callable[[int], None]) -> None:
    """Run the jobs to the end of the log with everything logged; `watch` gets the process id."""
    process = start(settings, log, *arguments, level="INFO")
    deadline = time.monotonic() + 600
    try:
        while process.poll() is None and time.monotonic() < deadline:
            watch(process.pid)
            time.sleep(0.3)
    finally:
        end(process)
    assert process.returncode == 0, log.read_text(errors="replace")[-3000:]


def messages(bootstrap: str, topic: str) -> list[tuple[int, int, bytes, bytes]]:
    """Return ``(partition, offset, key, value)`` of everything in a topic."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False,
         "enable.partition.eof": True}
    )  # fmt: skip
    try:
        parts = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in parts])
        found: list[Any] = []
        ended: set[int | None] = set()
        deadline = time.monotonic() + 120
        while len(ended) < len(parts):
            assert time.monotonic() < deadline, f"{topic} has not been read to its end"
            for message in consumer.consume(5000, 0.5):
                if message.error() is not None:
                    ended.add(message.partition())
                    continue
                place = message.partition(), message.offset()
                found.append((*place, message.key(), message.value()))
        return found
    finally:
        consumer.close()


def published(settings: Settings, job: str) -> dict[bytes, Any]:
    """Return what a job has published: by key, the last one; lists of one window by its end too."""
    topic = Topics(settings.namespace).results[job]
    held: dict[bytes, Any] = {}
    for _, _, key, value in messages(settings.kafka, topic):
        message = DECODERS[job](value)
        end_of = f"@{message.window_end}".encode() if job == "trending" else b""
        held[key + end_of] = message
    return held


def as_rows(job: str, found: list[Any]) -> Counter[tuple[Any, ...]]:
    """Return messages as the rows of :mod:`tests.streams.flink.oracle`."""
    if job == "sessions":
        return Counter(
            (m.user_id, m.started_at, m.last_played_at, m.plays, m.tracks) for m in found
        )
    if job == "uniques":
        return Counter((m.hour, m.track_id, m.listeners, m.plays) for m in found)
    if job == "late":
        return Counter((m.day, m.hour, m.plays) for m in found)
    if job == "suspects":
        return Counter((m.user_id, m.pattern, m.started_at, m.ended_at, m.plays) for m in found)
    return Counter(
        (m.window_end, p.place, p.id, p.listeners, p.plays, p.weight)
        for m in found
        for p in m.places
    )
