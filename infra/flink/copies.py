"""Checkpoints and savepoints on this machine: where the jobs resume, and which copies are deleted.

Each is a copy of personal data. Flink adds and deletes checkpoints while this module reads their
folders, so a folder that vanishes is no error here.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from contracts.settings import Settings

#: Seconds.
_KEPT_SAVEPOINTS = 30 * 86_400


def newest(state: Path) -> Path | None:
    """Return the newest complete checkpoint or savepoint, ``None`` if there is none."""
    return max(complete(state), default=(0.0, None))[1]


def age_out(state: Path, keep: Path | None, now: float) -> list[Path]:
    """Delete the copies that the next start does not need and return them. No job may run.

    Checkpoints of older runs are deleted at once, savepoints after 30 days.
    """
    old = [run for run in _inside(state / "checkpoints") if keep is None or run not in keep.parents]
    old += [
        savepoint
        for savepoint in _inside(state / "savepoints")
        if savepoint != keep and now - _changed(savepoint) > _KEPT_SAVEPOINTS
    ]
    return _deleted(old)


def forget(settings: Settings) -> dict[str, int]:
    """Delete every copy except the one that the jobs resume from; return how many.

    For an erasure: the running jobs forget a listener as windows close, a copy never does. Files of
    a killed backfill are deleted too: call this while no backfill runs.
    """
    state = settings.paths.flink
    found = complete(state)
    keep = _needed(found)
    kept = _owner(keep) if keep else None
    at = _changed(keep) if keep else 0.0
    whole = {_owner(path) for _, path in found}
    copies = [
        copy
        for kind in ("checkpoints", "savepoints")
        for copy in _inside(state / kind)
        # A run that has just begun, or a savepoint that is being written, is newer and incomplete.
        if copy != kept and (copy in whole or _changed(copy) <= at)
    ]
    return {"copies": len(_deleted([*copies, *state.glob("backfill-*")]))}


def _needed(found: list[tuple[float, Path]]) -> Path | None:
    """Return which of the complete copies the jobs resume from, running or not.

    Jobs that run resume from their newest checkpoint, even if a savepoint is newer. An ordered stop
    deletes the checkpoints of its run, not those of earlier runs, so then it is the savepoint.
    """
    _, keep = max(found, default=(0.0, None))
    if keep is None or _owner(keep) != keep:
        return keep
    # It is called savepoint-JOB-RANDOM; the name of the run's folder begins with JOB.
    job = keep.name.partition("-")[2].partition("-")[0] or keep.name
    own = [c for c in found if c[1] != _owner(c[1]) and c[1].parent.name.startswith(job)]
    return max(own, default=(0.0, keep))[1]


def _owner(copy: Path) -> Path:
    """Return the folder to delete with a copy: a savepoint's own, a checkpoint's run."""
    return copy if copy.parent.name == "savepoints" else copy.parent


def complete(folder: Path) -> list[tuple[float, Path]]:
    """Return time and folder of all complete copies; ``_metadata`` is what Flink writes last."""
    found = []
    for path, _, files in os.walk(folder):  # skips folders that vanish
        if "_metadata" in files:
            with suppress(FileNotFoundError):
                found.append((Path(path, "_metadata").stat().st_mtime, Path(path)))
    return found


def _inside(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(folder.iterdir())
    return []


def _changed(folder: Path) -> float:
    """Return the time of the last change of a folder or of an entry directly in it."""
    times = [0.0]
    for path in (folder, *_inside(folder)):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


def _deleted(folders: list[Path]) -> list[Path]:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return folders
