"""One child process: started in a session of its own, logged to a file, never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 10 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def python(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs one of our modules in this interpreter.

    ``-P`` keeps the current folder off the import path: a user's folder may well hold a package
    named ``api``, which must not take the place of ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def _die_with_parent(sig: int) -> Callable[[], None] | None:
    """Return what a child runs before exec so that the kernel signals it when we die (Linux).

    The kernel watches the *thread* that forked, hence :meth:`Process.start` must be called from a
    thread that lives as long as the program: the main one.
    """
    if _libc is None:
        return None
    parent = os.getpid()
    prctl = _libc.prctl

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return arm


@functools.cache
def _boot_id() -> str:
    """Return what names this start of the machine; empty where the kernel does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def birth(pid: int) -> str | None:
    """Return an identifier of a process that stays unique even if its pid is reused.

    ``None`` when there is none, or only the remains of one that nobody has waited for.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform == "linux":
            # Clock ticks since boot: unaffected by changes of the clock, but reset by a reboot.
            stat = Path(f"/proc/{pid}/stat").read_text()
            return f"{_boot_id()} {stat.rpartition(')')[2].split()[19]}"
        return str(process.create_time())
    except (psutil.Error, OSError, IndexError):
        return None


def rotate(path: Path) -> None:
    """Move a log that has grown beyond 10 MB aside (one old file is kept)."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))


@dataclass(slots=True)
class Process:
    """A child process.

    Attributes
    ----------
    name
        For logs and messages.
    command
        Program and arguments.
    log
        File that takes standard output and error, appended.
    env
        The whole environment of the child; ``None`` inherits ours.
    death_signal
        What the kernel sends when this process dies, however it dies.
    user, group
        Numeric ids to run under; ``None`` keeps ours.
    """

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] | None = None
    death_signal: int = signal.SIGKILL
    user: int | None = None
    group: int | None = None
    _popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _began: int = field(default=0, repr=False)

    def start(self) -> None:
        """Start the program. Call from the main thread (see :func:`_die_with_parent`)."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log)
        with self.log.open("ab") as out:
            self._began = out.tell()
            self._popen = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if self.env is None else dict(self.env),
                start_new_session=True,
                preexec_fn=_die_with_parent(self.death_signal),
                user=self.user,
                group=self.group,
                extra_groups=None if self.user is None else [],
            )

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else ``None``."""
        popen = self._popen
        return popen.pid if popen is not None and popen.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last run ended; ``None`` while it runs or before it started."""
        return None if self._popen is None else self._popen.poll()

    def send(self, sig: int) -> None:
        """Signal the process; nothing happens when it is gone."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(sig)

    def wait(self, timeout: float) -> bool:
        """Wait until the process has ended; ``False`` when `timeout` seconds pass first."""
        if self._popen is None:
            return True
        try:
            self._popen.wait(max(timeout, 0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 15.0) -> int | None:
        """Signal, wait, and kill what does not end in `timeout` seconds; return the exit code."""
        self.send(sig)
        if not self.wait(timeout):
            self.send(signal.SIGKILL)
            self.wait(5)
        return self.exit_code

    def tail(self, lines: int = 1) -> str:
        """Return the last lines this run wrote to its log, for an error message.

        Lines of an earlier run would name the wrong reason.
        """
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._began, self.log.stat().st_size - 4000))
                text = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return "\n".join(text[-lines:])


def wait_until(ready: Callable[[], bool], timeout: float, every: float = 0.05) -> bool:
    """Call `ready` until it is true (return ``True``) or `timeout` seconds pass (``False``)."""
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() >= end:
            return False
        time.sleep(every)
    return True
