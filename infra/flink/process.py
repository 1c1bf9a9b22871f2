"""The jobs as one process on this machine: where it resumes, and with which settings."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from contracts.settings import Settings
from infra.stack.ports import LOOPBACK

#: Heap of the Java machine that holds job manager, task manager and client.
HEAP = "-Xmx1g"
_KEPT_SAVEPOINTS = 30 * 86_400


def newest(state: Path) -> Path | None:
    """Return the newest complete checkpoint or savepoint, ``None`` where there is none."""
    found = [*state.glob("checkpoints/*/chk-*/_metadata"), *state.glob("savepoints/*/_metadata")]
    return max(found, key=lambda path: path.stat().st_mtime).parent if found else None


def age_out(state: Path, keep: Path | None, now: float) -> list[Path]:
    """Delete what no run goes on from; return what was deleted.

    Checkpoints and savepoints are copies of personal data: those of older runs go at once,
    savepoints after 30 days.
    """
    old = [run for run in state.glob("checkpoints/*") if keep is None or run not in keep.parents]
    old += [
        savepoint
        for savepoint in state.glob("savepoints/*")
        if savepoint != keep and now - savepoint.stat().st_mtime > _KEPT_SAVEPOINTS
    ]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return old


def forget(settings: Settings) -> dict[str, int]:
    """Delete every copy of state but the newest, which the jobs go on from; return how many.

    For an erasure: state forgets a listener as windows close, a copy never does.
    """
    state = settings.paths.flink
    keep = newest(state)
    copies = [path for path in state.glob("savepoints/*") if path != keep]
    old = age_out(state, keep, time.time())
    for path in copies:
        shutil.rmtree(path, ignore_errors=True)
    return {"copies": len({*copies, *old})}


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
    conf = {
        "rest.bind-port": rest,
        "rest.port": rest,
        # Nothing of it has a password: nobody but this machine reaches it.
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
        # Of all operators of a slot together; with half of it the windows have no room to begin.
        "taskmanager.memory.managed.size": "256m",
    }
    if start is not None:
        conf["execution.state-recovery.path"] = start.as_uri()
        # A checkpoint becomes the new run's own, which deletes it when it has better ones.
        ours = "checkpoints" in start.parts
        conf["execution.state-recovery.claim-mode"] = "CLAIM" if ours else "NO_CLAIM"
    return [word for key, value in conf.items() for word in ("--set", f"{key}={value}")]
