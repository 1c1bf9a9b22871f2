"""The home folder of a stack: its lock, what it remembers, and what runs in it now."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil

from contracts.errors import ConfigurationError
from contracts.home import HomePaths
from infra.stack.ports import free_ports, is_free, reserve
from infra.stack.process import birth


@dataclass(slots=True)
class StackRecord:
    """What runs in a home, as the supervisor writes it down (``run.json``).

    Attributes
    ----------
    phase
        ``starting``, ``ready``, ``stopping``, ``stopped`` or ``failed``.
    processes
        ``name -> {"pid", "birth", "started_at" (ms), "restarts"}``; the supervisor is one of them.
        A process that has ended has no pid.
    environ
        The settings of the stack, as variables; empty before the servers run.
    """

    phase: str = "stopped"
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, pid: int | None, restarts: int = 0) -> None:
        """Write a process down; `pid` is ``None`` when it has ended."""
        self.processes[name] = {
            "pid": pid,
            "birth": None if pid is None else birth(pid),
            "started_at": int(time.time() * 1000),
            "restarts": restarts,
        }

    def alive(self, name: str) -> bool:
        """Whether the process written down under a name still runs (not another with its pid)."""
        entry = self.processes.get(name)
        return (
            entry is not None
            and entry["birth"] is not None
            and birth(entry["pid"]) == entry["birth"]
        )

    def send(self, name: str, sig: int) -> None:
        """Signal the process written down under a name; nothing happens when it is gone.

        Raises
        ------
        ConfigurationError
            It belongs to another user.
        """
        pid = self.processes[name]["pid"]
        try:
            process = psutil.Process(pid)
            # Asked after psutil has noted whom the pid means, and psutil asks once more.
            if self.alive(name):
                process.send_signal(sig)
        except psutil.NoSuchProcess:
            return
        except psutil.AccessDenied:
            raise ConfigurationError(
                f"{name} (pid {pid}) is a process of another user; run this as that user"
            ) from None


class Home:
    """A home folder.

    Parameters
    ----------
    path
        Made by :meth:`open` when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.paths = HomePaths(self.path)
        self._lock: TextIO | None = None

    def open(self) -> None:
        """Make the folder and take its lock for as long as this process lives.

        Raises
        ------
        ConfigurationError
            The folder cannot be made or written, or another stack runs in it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_private()
            lock = (self.paths.lock).open("a+")
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            lock.close()
            raise ConfigurationError(
                f"a stack already runs in {self.path} (pid {pid}); "
                f"stop it with: segue down --home {self.path}"
            ) from None
        except OSError as error:  # no room, or a file system without locks
            lock.close()
            raise self._unusable(error) from None
        self._lock = lock

    def _make_private(self) -> None:
        """Keep other users of the machine out, also of a home of an earlier version.

        PostgreSQL may run as a user of its own (:mod:`infra.stack.unprivileged`), which has to pass
        through the home: then others may pass too, but read no folder in it.
        """
        if self.path.stat().st_uid != os.geteuid():
            return
        passes = False
        for inner in self.path.iterdir():
            if inner.is_dir() and not inner.is_symlink():
                if inner.stat().st_uid == os.geteuid():
                    inner.chmod(0o700)
                else:
                    passes = True
        self.path.chmod(0o711 if passes else 0o700)

    def _unusable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"--home {self.path} cannot be used: {error.strerror or error}; "
            "mend that or choose another folder"
        )

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read_run(self) -> StackRecord:
        """Return what is written down; an empty record when there is none or it is torn.

        Raises
        ------
        ConfigurationError
            There is one and we may not read it.
        """
        path = self.paths.run_record
        try:
            return StackRecord(**json.loads(path.read_text()))
        except PermissionError:
            raise ConfigurationError(
                f"{path} may not be read: the stack is another user's; run this as that user"
            ) from None
        except (OSError, ValueError, TypeError):
            return StackRecord()

    def write_run(self, run: StackRecord) -> None:
        """Write the record in one step, so that no process reads half of it."""
        document = {"phase": run.phase, "processes": run.processes, "environ": run.environ}
        _replace(self.paths.run_record, document)

    def remember(self, **values: Any) -> None:
        """Keep choices for the next run (broker, ports)."""
        _replace(self.paths.choices, {**self.recall(), **values})

    def recall(self) -> dict[str, Any]:
        """Return the choices of earlier runs."""
        try:
            values = json.loads((self.paths.choices).read_text())
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def choose_ports(self, names: tuple[str, ...]) -> dict[str, int]:
        """Return a port for each name: the one of the last run while it is free, else a new one."""
        known = self.recall().get("ports", {})
        kept = {
            name: known[name]
            for name in names
            if isinstance(known.get(name), int) and is_free(known[name]) and reserve(known[name])
        }
        lacking = [name for name in names if name not in kept]
        ports = kept | dict(zip(lacking, free_ports(len(lacking)), strict=True))
        self.remember(ports={**known, **ports})
        return ports


def end_leftovers(run: StackRecord, patience: float = 10.0) -> list[str]:
    """End processes of a run whose supervisor is gone; return their names.

    Only processes that are certainly ours are touched: same pid, same start, same boot.
    """
    left = [name for name in run.processes if name != "supervisor" and run.alive(name)]
    for name in left:
        # PostgreSQL's fast shutdown is SIGINT; for the others SIGTERM means the same.
        run.send(name, signal.SIGINT if name == "postgres" else signal.SIGTERM)
    deadline = time.monotonic() + patience
    while any(run.alive(name) for name in left) and time.monotonic() < deadline:
        time.sleep(0.1)
    for name in left:
        run.send(name, signal.SIGKILL)
    return left


def secret_file(path: Path, make: Callable[[], str]) -> str:
    """Return what a file that only its owner reads holds; made on the first call."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        if held := path.read_text().strip():
            return held
        descriptor = os.open(path, os.O_WRONLY, 0o600)  # made, but never filled
    made = make()
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{made}\n")
    return made


def _replace(path: Path, document: dict[str, Any]) -> None:
    aside = path.with_suffix(".tmp")
    aside.unlink(missing_ok=True)
    aside.touch(mode=0o600)  # the settings hold the administrator's token
    aside.write_text(json.dumps(document, indent=1) + "\n")
    aside.replace(path)
