"""The jobs as one process on this machine: where they resume, and with which settings."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from contracts.settings import Settings
from infra.flink.copies import age_out, newest
from infra.stack.ports import LOOPBACK

#: Heap of the Java machine that holds job manager, task manager and client.
HEAP = "-Xmx1g"


def stop_mark(settings: Settings) -> Path:
    """Return the file that exists after an operator stopped the jobs; their process then waits."""
    return settings.paths.flink / "stopped"


def scratch(settings: Settings) -> Path:
    """Return the folder of temporary files; :func:`arguments` empties it."""
    return settings.paths.flink.absolute() / "tmp"


def arguments(settings: Settings, *, rest: int, every: int = 10) -> list[str]:
    """Return the command line of the jobs, which resume from the newest checkpoint or savepoint.

    Parameters
    ----------
    rest
        Port of the REST interface.
    every
        Seconds between two checkpoints.
    """
    state = settings.paths.flink.absolute()
    start = newest(state)
    age_out(state, start, time.time())
    temporary = scratch(settings)  # a killed run leaves its files there
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    on_disk = settings.flink_state == "rocksdb"
    conf = {
        "rest.bind-port": rest,
        "rest.port": rest,
        # No port of Flink asks for a password, so only this machine may connect.
        "rest.bind-address": LOOPBACK,
        "jobmanager.bind-host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.host": LOOPBACK,
        "web.submit.enable": "false",
        "web.cancel.enable": "false",
        "execution.checkpointing.interval": f"{every} s",
        "execution.checkpointing.dir": (state / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (state / "savepoints").as_uri(),
        "execution.checkpointing.num-retained": 2,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "io.tmp.dirs": temporary,
        "state.backend.type": settings.flink_state,
        "execution.checkpointing.incremental": "true" if on_disk else "false",
        # Of all operators of a slot together; with half of it the windows have no room to begin.
        "taskmanager.memory.managed.size": "512m" if on_disk else "256m",
    }
    if start is not None:
        conf["execution.state-recovery.path"] = start.as_uri()
        # A checkpoint becomes the new run's own, which deletes it when it has better ones.
        ours = "checkpoints" in start.parts
        conf["execution.state-recovery.claim-mode"] = "CLAIM" if ours else "NO_CLAIM"
    return [word for key, value in conf.items() for word in ("--set", f"{key}={value}")]
