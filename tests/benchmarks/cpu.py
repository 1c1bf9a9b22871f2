"""Processor time of the processes of a stack: on few cores a truer figure than requests a second.

Rates on a machine where the generator, the broker and the folds share the cores with the API say
how all of them fare together. The time each process spends on a request does not depend on that.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress

import psutil

from infra.stack.stack import Stack

GENERATOR = "generator"


def pids_of(stack: Stack) -> dict[str, int]:
    """Return the process id of each server and worker of a stack."""
    found = {name: server.pid for name, server in stack.servers.items()}
    found |= {name: worker.pid for name, worker in stack.workers.items()}
    return {name: pid for name, pid in found.items() if pid is not None}


class CpuTimes:
    """Counts processor time (user and system, children included) from its making on.

    Parameters
    ----------
    pids
        Process ids by name; the process that asks counts as ``generator``.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = {**pids, GENERATOR: os.getpid()}
        self._before = {name: _seconds(pid) for name, pid in self._pids.items()}
        self._started = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return the seconds each has used since."""
        return {name: _seconds(pid) - self._before[name] for name, pid in self._pids.items()}

    def per_request(self, requests: int) -> dict[str, float]:
        """Return microseconds a request, by process, most first."""
        used = sorted(self.seconds().items(), key=lambda item: -item[1])
        return {name: round(1e6 * seconds / max(1, requests), 1) for name, seconds in used}

    def share(self, name: str) -> float:
        """Return what share of one core a process has used since."""
        elapsed = time.perf_counter() - self._started
        return round((_seconds(self._pids[name]) - self._before[name]) / elapsed, 2)


class Watched:
    """Processor time and memory of a process and all its children, which may end meanwhile.

    Parameters
    ----------
    pid
        Of the process.

    Attributes
    ----------
    memory
        The most bytes that all of them held at once.
    seconds
        From the making to the last look.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu: dict[int, float] = {}
        self._began = time.monotonic()
        self.memory = 0
        self.seconds = 0.0

    @property
    def cpu(self) -> float:
        """Seconds of user and system time so far."""
        return sum(self._cpu.values())

    def look(self) -> None:
        """Read the counters."""
        memory = 0
        self.seconds = time.monotonic() - self._began
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._pid)
            for each in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    used = each.cpu_times()
                    self._cpu[each.pid] = used.user + used.system
                    memory += each.memory_info().rss
        self.memory = max(self.memory, memory)

    def follow(self, process: subprocess.Popen[bytes], every: float = 0.2) -> None:
        """Look until the process has ended."""
        while process.poll() is None:
            self.look()
            time.sleep(every)


def _seconds(pid: int) -> float:
    """Return the processor time of a process; the generator's own leaves out its children."""
    try:
        process = psutil.Process(pid)
        family = [process] if pid == os.getpid() else [process, *process.children(recursive=True)]
        times = [each.cpu_times() for each in family]
    except psutil.NoSuchProcess:
        return 0.0
    return float(sum(used.user + used.system for used in times))
