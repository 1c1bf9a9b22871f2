"""Restarts parts of a stack that died, and ends workers that make no progress."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from contracts.errors import SegueError
from infra.stack.parts import Parts
from infra.stack.process import Process
from infra.stack.server import Server
from infra.stack.standstill import Standstill
from infra.stack.tansu import Tansu


class Restarter:
    """Looks at every part, a few times a second.

    This thread launches a server (see :meth:`Process.start`); another thread waits for its first
    answer, because other parts may need a restart at the same time.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stack = parts.stack
        self._say = parts.say
        self._launched: dict[str, Future[None]] = {}
        self._waiting = ThreadPoolExecutor(thread_name_prefix="server")
        self._standstill = Standstill(parts.stack.heartbeats, parts.pids)

    def tick(self, now: float) -> None:
        """Do what is due; `now` is in monotonic seconds."""
        for name, server in self._stack.servers.items():
            self._look_at_server(name, server, now)
        for name in self._standstill.found(now):
            self._end_standing(name)
        for name, worker in list(self._stack.workers.items()):
            if worker.pid is None and self._may_start(name, worker, now):
                self._attempt(self._parts.start_worker, name, now)

    def _look_at_server(self, name: str, server: Server, now: float) -> None:
        launched = self._launched.get(name)
        if launched is not None:
            if launched.done():
                self._attempt(self._finish_server, name, now)
        elif server.pid is None and self._may_start(name, server.process, now):
            self._attempt(self._launch_server, name, now)

    def _may_start(self, name: str, process: Process | None, now: float) -> bool:
        """Note a death when it is new; return whether the process may start again now."""
        ward = self._parts.ward(name)
        if ward.due is None:
            assert process is not None  # all of them have run
            delay = ward.died(now)
            self._say(
                f"{name} ended with code {process.exit_code}, see {process.log}; "
                f"starting it again in {delay:g} s"
            )
            self._parts.note(name, None)
        return ward.is_due(now)

    def _attempt(self, start: Callable[[str], None], name: str, now: float) -> None:
        """Start something again; what does not start is tried later, more and more slowly."""
        try:
            start(name)
        except (SegueError, OSError) as error:
            delay = self._parts.ward(name).died(now)
            self._say(f"{name} does not start; next attempt in {delay:g} s: {error}")

    def _end_standing(self, name: str) -> None:
        """End a worker that reports but makes no progress; the next tick starts it again."""
        worker = self._stack.workers.get(name)
        if worker is not None and worker.pid is not None:
            self._say(f"{name} has not gone on for a minute, see {worker.log}; ending it")
            worker.stop(timeout=5.0)

    def _launch_server(self, name: str) -> None:
        server = self._stack.servers[name]
        server.prepare()
        server.launch()
        patience = self._parts.ward(name).patience(server.patience)
        self._launched[name] = self._waiting.submit(server.wait_healthy, patience)
        self._parts.note(name, server.pid)

    def _finish_server(self, name: str) -> None:
        """Complete the start of a launched server; raises what its start failed with."""
        is_new_log = name == Tansu.name
        try:
            self._launched.pop(name).result()
            if is_new_log:
                self._stack.create_topics()
        except (SegueError, OSError):
            self._stack.servers[name].kill()
            raise
        self._parts.server_started(name)
        if is_new_log:
            self._say("tansu keeps its log in memory: a new log begins, all workers start again")
            self._restart_workers()

    def _restart_workers(self) -> None:
        names = list(self._stack.workers)
        self._parts.stop_workers(names, patience=5.0)
        for name in names:
            self._parts.start_worker(name)
