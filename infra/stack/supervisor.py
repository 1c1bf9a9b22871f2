"""Runs a stack: starts it in order, restarts what dies, stops it in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from contracts.errors import SegueError
from contracts.workers import BY_NAME, wanted
from infra.stack.home import Home
from infra.stack.parts import Parts
from infra.stack.process import Process
from infra.stack.progress import Lag, wait_applied
from infra.stack.restarter import Restarter
from infra.stack.signals import StopSignals
from infra.stack.stack import Stack
from infra.stack.tansu import Tansu

#: How long (seconds) an ordered stop lets the workers finish what is in the log.
DRAIN = 30.0
_TICK = 0.2
_COMPILE = 600.0


class Supervisor:
    """The parent of every process of a stack.

    Parameters
    ----------
    stack
        What to run.
    home
        Its home, already locked by this process.
    simulate
        Plays per second of the simulated listeners; 0 starts none.
    say
        Takes one line for the person who watches; must not raise.
    """

    def __init__(
        self, stack: Stack, home: Home, simulate: float, say: Callable[[str], None]
    ) -> None:
        self.stack = stack
        self.say = say
        self.parts = Parts(stack, home, simulate, say)
        self.restarter = Restarter(self.parts)
        self.signals = StopSignals()
        self._kernels: Process | None = None

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready`, watch until SIGINT or SIGTERM, stop everything.

        Raises
        ------
        SegueError
            Something could not be started. After any error, every started part has been stopped.
        """
        self.signals.install()
        try:
            with self.signals.interrupting():
                self._start()
            self.parts.set_phase("ready")
            on_ready()
            while not self.signals.count:
                self.restarter.tick(time.monotonic())
                time.sleep(_TICK)
        except KeyboardInterrupt:
            pass
        except BaseException:
            self._stop()
            self.parts.set_phase("failed")
            raise
        self._stop()
        self.parts.set_phase("stopped")

    def _start(self) -> None:
        stack = self.stack
        self.parts.note("supervisor", os.getpid())
        self._kernels = stack.start_kernels()
        if self._kernels is not None:
            self.say("compiling the model's kernels, once after an installation: about a minute")
            self.parts.note("kernels", self._kernels.pid)
        self.say(f"starting {', '.join(stack.servers)}")
        stack.start_servers(self.parts.server_started)
        if self._kernels is not None:
            self._wait_compiled(self._kernels)
        self.parts.record.environ = stack.settings.environ()
        simulate = self.parts.simulate
        simulated = {"SEGUE_SIMULATE": str(simulate) if simulate > 0 else ""}
        specs = wanted({**os.environ, **simulated})
        self._start_workers([spec.name for spec in specs if not spec.after_ready])
        stack.wait_ready()
        self._start_workers([spec.name for spec in specs if spec.after_ready])

    def _wait_compiled(self, kernels: Process) -> None:
        if not kernels.wait(_COMPILE) or kernels.exit_code:
            self.say(f"kernels not compiled ({kernels.tail()}); the workers will, slowly")
        self.parts.forget("kernels")

    def _start_workers(self, names: list[str]) -> None:
        self.say(f"starting {', '.join(names)}")
        for name in names:
            self.parts.start_worker(name)

    def _stop(self) -> None:
        """Stop in order: workers that write to the log, workers that read it, servers."""
        was_ready, signals = self.parts.record.phase == "ready", self.signals.count
        self.parts.set_phase("stopping")
        if self._kernels is not None and self._kernels.pid is not None:
            self._kernels.stop()
            self.parts.forget("kernels")
        workers = self.stack.workers
        self.parts.stop_workers([name for name in workers if not BY_NAME[name].folds])
        if was_ready:
            self.say("letting the workers finish what is in the log (Ctrl-C: do not wait)")
            self._drain(signals)
        self.parts.stop_workers([name for name in workers if BY_NAME[name].folds])
        for name in self.stack.servers:
            self.parts.stop_server(name)
        self.say("stopped")

    def _drain(self, before: int) -> None:
        """Let the folds apply what is in the log; another signal than `before` ends the wait."""
        running = self.parts.pids()
        folds = tuple(name for name in running if BY_NAME[name].folds)
        try:
            behind = wait_applied(
                self.stack.settings, DRAIN, folds, give_up=lambda: self.signals.count > before
            )
        except SegueError as error:
            self.say(f"the lag of the workers is not known: {error}")
            return
        for lag in behind:
            self._report(lag)

    def _report(self, lag: Lag) -> None:
        what = "does not report" if lag.messages is None else f"is {lag.messages} behind"
        in_memory = Tansu.name in self.stack.servers
        then = "and the log ends with tansu" if in_memory else "it resumes there at the next start"
        self.say(f"{lag.worker} {what}, {then}")
