"""Landing sinks as processes of their own, forked from one that has imported everything.

Importing the Snowflake connector takes seconds of processor time, and a test of crashes starts a
dozen of them.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess

from contracts.settings import Settings

SINK = "snowflake-sink"
# Importing the connector takes seconds; each victim is forked from a process that has done so.
_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(
    ["streams.snowflake_sink.worker", "snowflake.connector", "snowflake.ingest"]
)


def _run(settings: Settings, environ: dict[str, str], log: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(environ)
    from infra.cli.commands.worker import entry

    sys.exit(entry(SINK)(settings))


class Sinks:
    """Starts landing sinks, one after the other."""

    def __init__(self, settings: Settings, environ: dict[str, str]) -> None:
        self.settings = settings
        self.environ = environ
        self.log = settings.home / "sink.log"
        self.process: ForkServerProcess | None = None

    def start(self) -> ForkServerProcess:
        self.process = _fork.Process(
            target=_run, args=(self.settings, self.environ, str(self.log)), daemon=True
        )
        self.process.start()
        return self.process

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.is_alive(), self.tail()
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """Stop in order; the promise is exit code 0 within 15 seconds."""
        assert self.process is not None
        self.process.terminate()
        self.process.join(15)
        assert self.process.exitcode == 0, self.tail()

    def tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""
