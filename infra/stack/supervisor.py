"""Runs a stack: starts it in order, restarts what dies, stops it in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from contracts.errors import SegueError
from contracts.workers import BY_NAME, SIMULATOR, wanted
from infra.stack.home import Home, StackRecord
from infra.stack.process import Process
from infra.stack.progress import wait_applied
from infra.stack.restart import Ward
from infra.stack.stack import Stack
from infra.stack.standstill import Standstill

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
        self.home = home
        self.simulate = simulate
        self.say = say
        self.run_record = StackRecord(phase="starting")
        self.wards: dict[str, Ward] = {}
        self._asked = 0
        self._interruptible = False
        self._kernels: Process | None = None
        self._launched: dict[str, Future[None]] = {}
        self._waiting = ThreadPoolExecutor(thread_name_prefix="server")
        self._standstill = Standstill(stack.heartbeats, self._pids)

    # -- life ---------------------------------------------------------------------------------

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready`, watch until SIGINT or SIGTERM, stop everything.

        Raises
        ------
        SegueError
            Something could not be started. Whatever is raised, what was started has been stopped.
        """
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, self._on_signal)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup: it is to be ignored
            signal.signal(signal.SIGHUP, self._on_signal)
        try:
            with self._interrupting():
                self._start()
            self._set_phase("ready")
            on_ready()
            while not self._asked:
                self._tick(time.monotonic())
                time.sleep(_TICK)
        except KeyboardInterrupt:
            pass
        except BaseException:
            self._stop(drain=self.run_record.phase == "ready")
            self._set_phase("failed")
            raise
        self._stop(drain=self.run_record.phase == "ready")
        self._set_phase("stopped")

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self._asked += 1
        if self._interruptible and self._asked == 1:
            raise KeyboardInterrupt

    @contextmanager
    def _interrupting(self) -> Iterator[None]:
        """Let the first signal end what waits for servers, instead of taking its turn after it."""
        self._interruptible = True
        try:
            if self._asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._interruptible = False

    def _set_phase(self, phase: str) -> None:
        self.run_record.phase = phase
        self._write()

    def _note(self, name: str, pid: int | None) -> None:
        self.run_record.note(name, pid, self._ward(name).restarts)
        self._write()

    def _forget(self, name: str) -> None:
        self.run_record.processes.pop(name, None)
        self._write()

    def _write(self) -> None:
        """Write the record; a full disk ends a start, but not a stack that runs."""
        try:
            self.home.write_run(self.run_record)
        except OSError as error:
            if self.run_record.phase == "starting":
                raise
            self.say(f"cannot write down what runs in {self.home.path}: {error.strerror}")

    def _pids(self) -> dict[str, int]:
        return {n: w.pid for n, w in self.stack.workers.items() if w.pid is not None}

    def _ward(self, name: str) -> Ward:
        return self.wards.setdefault(name, Ward())

    # -- start --------------------------------------------------------------------------------

    def _start(self) -> None:
        stack = self.stack
        self._note("supervisor", os.getpid())
        compiling = self._kernels = stack.start_kernels()
        if compiling is not None:
            self.say("compiling the model's kernels, once after an installation: about a minute")
            self._note("kernels", compiling.pid)
        self.say(f"starting {', '.join(stack.servers)}")
        stack.start_servers(self._server_launched)
        if compiling is not None:
            if not compiling.wait(_COMPILE) or compiling.exit_code:
                self.say(f"kernels not compiled ({compiling.tail()}); the workers will, slowly")
            self._forget("kernels")
        self.run_record.environ = stack.settings.environ()
        simulated = {"SEGUE_SIMULATE": str(self.simulate) if self.simulate > 0 else ""}
        specs = wanted({**os.environ, **simulated})
        self._start_all([spec.name for spec in specs if not spec.after_ready])
        stack.wait_ready()
        self._start_all([spec.name for spec in specs if spec.after_ready])

    def _start_all(self, names: list[str]) -> None:
        self.say(f"starting {', '.join(names)}")
        for name in names:
            self._start_worker(name)

    def _server_launched(self, name: str) -> None:
        self._ward(name).started(time.monotonic())
        self._note(name, self.stack.servers[name].pid)

    def _start_worker(self, name: str) -> None:
        extra = {"SEGUE_SIMULATE": str(self.simulate)} if name == SIMULATOR.name else {}
        process = self.stack.start_worker(name, **extra)
        self._ward(name).started(time.monotonic())
        self._note(name, process.pid)

    # -- watch --------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        for name, server in self.stack.servers.items():
            starting = self._launched.get(name)
            if starting is not None:
                if starting.done():
                    self._attempt(self._take_in_server, name, now)
            elif server.pid is None and self._may_start(name, server.process, now):
                self._attempt(self._launch_server, name, now)
        for name in self._standstill.found(now):
            self._end_standing(name)
        for name, worker in list(self.stack.workers.items()):
            if worker.pid is None and self._may_start(name, worker, now):
                self._attempt(self._start_worker, name, now)

    def _may_start(self, name: str, process: Process | None, now: float) -> bool:
        """Note a death when it is new; say whether the process may start again now."""
        ward = self._ward(name)
        if ward.due is None:
            assert process is not None  # all of them have run
            delay = ward.died(now)
            self.say(
                f"{name} ended with code {process.exit_code}, see {process.log}; "
                f"starting it again in {delay:g} s"
            )
            self._note(name, None)
        return ward.is_due(now)

    def _attempt(self, start: Callable[[str], None], name: str, now: float) -> None:
        """Start something again; what does not start is tried later, more and more slowly."""
        try:
            start(name)
        except (SegueError, OSError) as error:
            delay = self._ward(name).died(now)
            self.say(f"{name} does not start; next attempt in {delay:g} s: {error}")

    def _end_standing(self, name: str) -> None:
        """End a worker that reports but does not go on; the next tick starts it again."""
        worker = self.stack.workers.get(name)
        if worker is not None and worker.pid is not None:
            self.say(f"{name} has not gone on for a minute, see {worker.log}; ending it")
            worker.stop(timeout=5.0)

    def _launch_server(self, name: str) -> None:
        """Start a server again. Its answer is waited for in a thread: others may need a restart."""
        server = self.stack.servers[name]
        server.prepare()
        server.launch()
        patience = self._ward(name).patience(server.patience)
        self._launched[name] = self._waiting.submit(server.wait_healthy, patience)
        self._note(name, server.pid)

    def _take_in_server(self, name: str) -> None:
        """Go on with a server that answers; raises what it failed with."""
        server = self.stack.servers[name]
        starting = self._launched.pop(name)
        try:
            starting.result()
            if name == "tansu":
                self.stack.create_topics()
        except (SegueError, OSError):
            server.kill()
            raise
        self._server_launched(name)
        if name == "tansu":
            self.say("tansu keeps its log in memory: a new log begins, all workers start again")
            self._stop_workers(list(self.stack.workers), patience=5.0)
            for worker in list(self.stack.workers):
                self._start_worker(worker)

    # -- stop ---------------------------------------------------------------------------------

    def _stop(self, drain: bool) -> None:
        """Stop in order: who writes, then who reads, then what they stand on."""
        self._set_phase("stopping")
        before = self._asked
        workers = self.stack.workers
        if self._kernels is not None and self._kernels.pid is not None:
            self._kernels.stop()
            self._forget("kernels")
        folds = [name for name in workers if BY_NAME[name].folds]
        self._stop_workers([name for name in workers if name not in folds])
        if drain:
            self.say("letting the workers finish what is in the log (Ctrl-C: do not wait)")
            self._drain(before)
        self._stop_workers(folds)
        for name, server in self.stack.servers.items():
            server.stop()
            self._note(name, server.pid)
        self.say("stopped")

    def _drain(self, before: int) -> None:
        running = [name for name, worker in self.stack.workers.items() if worker.pid]
        alive = tuple(name for name in running if BY_NAME[name].folds)
        try:
            behind = wait_applied(
                self.stack.settings, DRAIN, alive, give_up=lambda: self._asked > before
            )
        except SegueError as error:
            self.say(f"cannot tell how far the workers are: {error}")
            return
        then = (
            "and the log ends with tansu"
            if "tansu" in self.stack.servers
            else "it goes on from there at the next start"
        )
        for lag in behind:
            what = "does not report" if lag.messages is None else f"is {lag.messages} behind"
            self.say(f"{lag.worker} {what}, {then}")

    def _stop_workers(self, names: list[str], patience: float = 15.0) -> None:
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            list(pool.map(lambda name: self.stack.workers[name].stop(timeout=patience), names))
        for name in names:
            self._note(name, None)
