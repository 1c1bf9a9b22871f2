"""Plays per second of each worker with 1, 2 and 4 processes, beside a plain consumer.

Before the clock starts, the processes have reached the end of the log and share its partitions.
Then this benchmark writes the messages at once, far faster than any worker applies them. The clock
stops at the last heartbeats that do not report all messages as applied. Heartbeats come once a
second, so a run should take ten seconds or more. While the clock runs, the broker and the writer
use processor time too; ``segue bench speed`` measures one process on a log that was written before.

A plain consumer then reads and decodes the same messages: the floor. Each learner folds the whole
log into a model of its own, so its processes are copies, and the figure is one copy's. A learner
learns its first 28,000 plays slowly: it makes a trial of each of the first 4,000, and of fewer and
fewer of the later ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

import psutil

from contracts.heartbeat import Heartbeat
from contracts.workers import CORE_FOLDS, LEARNER, LISTENERS
from infra.stack.process import Process, wait_until
from infra.stack.progress import ends, heartbeats_by_host
from infra.stack.stack import Stack
from tests.benchmarks.figures import machine
from tests.benchmarks.speed_layer import Filled, floor, messages, send
from tests.benchmarks.stack import servers

# The lake sink commits early and often, so that its speed is measured and not its rests.
_LAKE_ROWS, _LAKE_SECONDS = 10_000, 0.25
_PATIENCE = 600.0
#: Each fill of the log holds plays of a time of its own, seconds.
_SHIFT = 40_000_000


def run(
    *,
    broker: str = "tansu",
    plays: int = 200_000,
    plays_a_message: int = 1,
    processes: Sequence[int] = (1, 2, 4),
    worker: str = "",
) -> dict[str, Any]:
    """Measure plays a second of each worker with 1, 2 and 4 processes.

    Parameters
    ----------
    plays
        Plays that are folded in each measurement.
    plays_a_message
        Plays of a message.
    processes
        Numbers of processes; at most one for each of the four partitions does work.
    worker
        Only this one; default: listeners, learner, history-sink and lake-sink.
    """
    result: dict[str, Any] = {"broker": broker, "machine": machine(), "plays": plays}
    with servers(broker, lake_rows=_LAKE_ROWS, lake_seconds=_LAKE_SECONDS) as stack:
        fills = 0
        for name in [worker] if worker else CORE_FOLDS:
            rows: dict[str, Any] = {}
            for count in processes:
                filled = messages(stack.settings, plays, plays_a_message, shift=fills * _SHIFT)
                fills += 1
                rows[str(count)] = _measure(stack, name, count, filled)
            alone = rows[str(processes[0])]["plays_per_s"]
            for row in rows.values():
                row["times_the_first"] = round(row["plays_per_s"] / alone, 2)
            result[name] = rows
    return result


def _measure(stack: Stack, name: str, count: int, filled: Filled) -> dict[str, float]:
    settings = stack.settings
    hosts = [f"bench{count}-{n}" for n in range(count)]
    started = [_start(stack, name, host) for host in hosts]
    try:
        before = ends(settings)
        _wait(lambda: _shared(stack, name, hosts, before), f"{name} does not begin")
        idle = [_cpu(process) for process in started]
        begin = time.time()
        send(settings, filled)
        sent = time.time() - begin
        after = ends(settings)
        first, count_sent = sum(before.values()), len(filled.messages)
        done, seconds = 0, 0.0

        def ended() -> bool:
            nonlocal done, seconds
            beats = _beats(stack, name, hosts)
            applied = sum(_held(name, beats, after)) - first
            # If all took less than a second, no earlier heartbeat reports anything.
            if applied < count_sent or not done:
                done, seconds = applied, fmean(beat.at for beat in beats) / 1000 - begin
            return applied >= count_sent

        _wait(ended, f"{name} does not end")
        cpu = sum(_cpu(process) - at for process, at in zip(started, idle, strict=True))
    finally:
        for process in started:
            process.stop()
    start = dict(enumerate(before.values()))
    lowest = floor(settings, start, count_sent)
    rate = filled.plays * done / count_sent / seconds
    return {
        "plays_per_s": round(rate),
        "floor_plays_per_s": lowest["plays_per_s"],
        "ratio_to_floor": round(rate / lowest["plays_per_s"], 4),
        "cpu_us_per_play": round(cpu / filled.plays * 1e6, 1),
        "floor_cpu_us_per_play": lowest["cpu_us_per_play"],
        "seconds": round(seconds, 1),
        "seconds_to_send": round(sent, 1),
    }


def _start(stack: Stack, name: str, host: str) -> Process:
    model = stack.settings.home / f"model-{host}"
    return stack.start_worker(
        name, SEGUE_HOST_NAME=host, SEGUE_SHARED_SINKS="1", SEGUE_MODEL=str(model)
    )


def _beats(stack: Stack, name: str, hosts: Sequence[str]) -> list[Heartbeat]:
    found = heartbeats_by_host(stack.settings)
    return [found[key] for host in hosts if (key := f"{name}@{host}") in found]


def _shared(stack: Stack, name: str, hosts: Sequence[str], places: dict[str, int]) -> bool:
    """Whether every process runs, has reached the end, and has a part of the partitions."""
    beats = _beats(stack, name, hosts)
    mine = [_mine(name, beat, places) for beat in beats]
    if len(mine) < len(hosts) or not all(mine) or any(beat.state != "running" for beat in beats):
        return False
    copies = len(mine) if name == LEARNER.name else 1
    return sum(map(len, mine)) == copies * len(places) and _applied(name, beats, places)


def _mine(name: str, beat: Heartbeat, places: dict[str, int]) -> set[str]:
    """Return the places that a process reads: a listener's heartbeat names others' too."""
    if name == LISTENERS.name:
        return {place for n, place in enumerate(places) if n in beat.partitions}
    return places.keys() & beat.offsets.keys()


def _applied(name: str, beats: list[Heartbeat], until: dict[str, int]) -> bool:
    """Whether all messages are applied."""
    held = _held(name, beats, until)
    return all(at >= end for at, end in zip(held, until.values(), strict=True))


def _held(name: str, beats: list[Heartbeat], places: Iterable[str]) -> list[int]:
    """Return the next offset of each place: of the slowest learner, of any process of others."""
    done = min if name == LEARNER.name else max
    return [done(beat.offsets.get(place, 0) for beat in beats) for place in places]


def _wait(ready: Callable[[], bool], what: str) -> None:
    if not wait_until(ready, _PATIENCE, 0.02):
        raise TimeoutError(f"{what} within {_PATIENCE:g} s")


def _cpu(process: Process) -> float:
    assert process.pid is not None, process.tail()
    used = psutil.Process(process.pid).cpu_times()
    return float(used.user + used.system)
