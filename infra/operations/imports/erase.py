"""Forgetting what an import kept of a listener."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import msgspec

from contracts.errors import StoreUnavailable
from contracts.home import HomePaths
from contracts.imports import folder_of
from infra.operations.imports.checkpoint import State


def forget(home: Path, user: str) -> int:
    """Delete a listener's uploads and the rejects of imports; return how many records went.

    An import of their file goes as a whole; of a file of many listeners, the records that hold the
    name.

    Raises
    ------
    StoreUnavailable
        One of the imports is running: try again after it.
    """
    gone = 0
    for folder in sorted(HomePaths(home).imports.glob("*.*")):
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreUnavailable(f"an import is running ({folder.name})") from None
            gone += _forget(folder, user)
    shutil.rmtree(folder_of(HomePaths(home).uploads, user), ignore_errors=True)
    return gone


def _forget(folder: Path, user: str) -> int:
    rejects, path = folder / "rejects.jsonl", folder / "state.json"
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        state = State()
    lines = rejects.read_bytes().splitlines(keepends=True) if rejects.exists() else []
    if state.user == user:
        rejects.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return len(lines)
    name = msgspec.json.encode(user)[1:-1]
    kept = [line for line in lines if name not in line]
    if len(kept) < len(lines):
        aside = rejects.with_suffix(".tmp")
        aside.write_bytes(b"".join(kept))
        # The state first: the importer cuts a file that is longer than the recorded length, but
        # cannot restore a shorter one.
        state.rejects_bytes = min(state.rejects_bytes, sum(map(len, kept)))
        path.write_bytes(msgspec.json.encode(state))
        aside.replace(rejects)
    return len(lines) - len(kept)
