"""What a stack that nobody uses costs: processor time of each process, supervisor included.

The floor is the same broker with the same settings, its log empty and no client connected, counted
before the stack starts; ``reader`` is the time the sleeping reader itself uses. Processor time
depends little on who else uses the machine, but loops turn less often on a loaded one: compare
figures of quiet machines.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from infra.stack.apache_kafka import ApacheKafka
from infra.stack.home import Home
from infra.stack.ports import free_ports
from infra.stack.process import python
from infra.stack.tansu import Tansu
from tests.benchmarks.figures import machine


def run(*, broker: str = "tansu", seconds: float = 60.0, settle: float = 20.0) -> dict[str, Any]:
    """Measure the processor time of each process without traffic, in percent of one core.

    Parameters
    ----------
    seconds
        How long to count.
    settle
        Seconds between readiness and the count: start-up work must not be in it.
    """
    alone = broker_alone(broker, seconds, settle)
    with tempfile.TemporaryDirectory(prefix="segue-idle-") as folder:
        port = free_ports(1)[0]
        command = python(
            "infra.cli", "up", "--detach", "--json", "--home", folder,
            "--port", str(port), "--broker", broker,
        )  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        try:
            time.sleep(settle)
            record = Home(Path(folder)).read_run().processes
            pids = {name: entry["pid"] for name, entry in record.items() if entry["pid"]}
            counted = count(pids, seconds)
            return {"broker": broker, "floor": alone, **counted, "machine": machine()}
        finally:
            down = python("infra.cli", "down", "--home", folder)
            subprocess.run(down, check=False, stdout=subprocess.DEVNULL)


def broker_alone(broker: str, seconds: float, settle: float) -> float:
    """Return the share of one core (percent) of a broker that nobody has connected to."""
    with tempfile.TemporaryDirectory(prefix="segue-idle-") as folder:
        home, ports = Path(folder), free_ports(2)
        server = Tansu(home, ports[0]) if broker == Tansu.name else ApacheKafka(home, *ports)
        server.start()
        try:
            time.sleep(settle)
            assert server.pid is not None
            total: float = count({broker: server.pid}, seconds)["total"]
            return total
        finally:
            server.stop()


def count(pids: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """Return the share of one core (percent) and the context switches a second of each process."""
    before, began = {name: _used(pid) for name, pid in pids.items()}, time.perf_counter()
    mine = time.process_time()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    percent, wakes = {}, {}
    for name, pid in pids.items():
        used, switches = _used(pid)
        percent[name] = round(100 * (used - before[name][0]) / passed, 2)
        wakes[name] = round((switches - before[name][1]) / passed, 1)
    most = sorted(percent, key=lambda name: -percent[name])
    return {
        "seconds": round(passed, 1),
        "percent_of_a_core": {name: percent[name] for name in most},
        "total": round(sum(percent.values()), 2),
        "wakes_per_s": {name: wakes[name] for name in most},
        "reader": round(100 * (time.process_time() - mine) / passed, 3),
    }


def _used(pid: int) -> tuple[float, int]:
    """Return processor seconds and voluntary context switches of a process and its children.

    The supervisor's children have names of their own and are left out of its part.
    """
    process = psutil.Process(pid)
    ours = "infra.cli" in process.cmdline() and "up" in process.cmdline()
    seconds, switches = 0.0, 0
    for each in [process] if ours else [process, *process.children(recursive=True)]:
        try:
            times = each.cpu_times()
            seconds += times.user + times.system
            if not ours:  # children that ended meanwhile, such as workers of PostgreSQL
                seconds += times.children_user + times.children_system
            switches += _switches(each.pid)
        except (psutil.NoSuchProcess, OSError):
            continue
    return seconds, switches


def _switches(pid: int) -> int:
    """Return the voluntary context switches of all threads of a process (Linux)."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found += int(line.split()[1])
    return found


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
