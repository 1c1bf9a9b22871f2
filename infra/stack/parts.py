"""The parts of a running stack: starting and stopping one of them, and the record of what runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from contracts.workers import SIMULATOR
from infra.stack.home import Home, StackRecord
from infra.stack.restart import Ward
from infra.stack.stack import Stack


class Parts:
    """Starts and stops single parts of a stack and writes each change to the home's record.

    Parameters
    ----------
    simulate
        Plays per second of the simulated listeners.
    say
        Takes one line for the person who watches; must not raise.

    Attributes
    ----------
    record
        What runs now, as it is written down.
    """

    def __init__(
        self, stack: Stack, home: Home, simulate: float, say: Callable[[str], None]
    ) -> None:
        self.stack = stack
        self.home = home
        self.simulate = simulate
        self.say = say
        self.record = StackRecord(phase="starting")
        self._wards: dict[str, Ward] = {}

    def ward(self, name: str) -> Ward:
        """Return the history of a part's starts and deaths."""
        return self._wards.setdefault(name, Ward())

    def pids(self) -> dict[str, int]:
        """Return the process ids of the workers that run."""
        return {n: w.pid for n, w in self.stack.workers.items() if w.pid is not None}

    def start_worker(self, name: str) -> None:
        """Start a worker; returns at once."""
        extra = {"SEGUE_SIMULATE": str(self.simulate)} if name == SIMULATOR.name else {}
        process = self.stack.start_worker(name, **extra)
        self.ward(name).started(time.monotonic())
        self.note(name, process.pid)

    def stop_workers(self, names: list[str], patience: float = 15.0) -> None:
        """Stop workers at the same time; one that needs more than `patience` seconds is killed."""
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            list(pool.map(lambda name: self.stack.workers[name].stop(timeout=patience), names))
        for name in names:
            self.note(name, None)

    def server_started(self, name: str) -> None:
        """Record a server that :class:`Stack` has started."""
        self.ward(name).started(time.monotonic())
        self.note(name, self.stack.servers[name].pid)

    def stop_server(self, name: str) -> None:
        """Stop a server."""
        server = self.stack.servers[name]
        server.stop()
        self.note(name, server.pid)

    def set_phase(self, phase: str) -> None:
        """Write down what the stack is doing."""
        self.record.phase = phase
        self._write()

    def note(self, name: str, pid: int | None) -> None:
        """Write down that a part runs as a process, or (``None``) that it does not run."""
        self.record.note(name, pid, self.ward(name).restarts)
        self._write()

    def forget(self, name: str) -> None:
        """Take a part out of the record."""
        self.record.processes.pop(name, None)
        self._write()

    def _write(self) -> None:
        """Write the record; a full disk ends a start, but not a stack that runs."""
        try:
            self.home.write_run(self.record)
        except OSError as error:
            if self.record.phase == "starting":
                raise
            self.say(f"cannot write down what runs in {self.home.path}: {error.strerror}")
