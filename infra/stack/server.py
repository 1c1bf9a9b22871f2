"""What every server of the embedded stack can do."""

from __future__ import annotations

import math
import os
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from contracts.errors import StoreUnavailable
from contracts.home import HomePaths
from infra.stack.patience import Patience
from infra.stack.ports import LOOPBACK
from infra.stack.process import Process, wait_until


class Server(ABC):
    """A server program whose data lies under ``<home>/<name>/``.

    Starting has three steps, so that several servers can start at once: :meth:`prepare` (slow,
    any thread), :meth:`launch` (quick, main thread), :meth:`wait_healthy` (any thread).
    :meth:`start` does all three.

    Parameters
    ----------
    home
        Folder of the stack.
    port
        TCP port to listen on.

    Attributes
    ----------
    host
        Address to listen at; set another one before the first start.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM
    #: How long (seconds) a start may take on a busy machine.
    patience: ClassVar[float] = 30.0

    def __init__(self, home: Path, port: int) -> None:
        self.home = home.absolute()
        self.folder = self.home / self.name
        self.port = port
        self.host = LOOPBACK
        self.process: Process | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """What clients connect to."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether the server answers a real request now."""

    @abstractmethod
    def _build(self) -> Process:
        """Return the process to start; called after :meth:`prepare`."""

    def prepare(self) -> None:
        """Make the folders and everything else that the first start needs."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def launch(self) -> None:
        """Start the program and return at once."""
        self.process = self._build()
        self.process.start()

    def wait_healthy(self, timeout: float | None = None) -> None:
        """Wait for a healthy answer.

        Parameters
        ----------
        timeout
            Seconds; longer while the program works (:class:`infra.stack.patience.Patience`).

        Raises
        ------
        StoreUnavailable
            The program ended, or does not answer in time.
        """
        process = self.process
        assert process is not None
        limit = self.patience if timeout is None else timeout
        patience = Patience(process, limit)
        began = time.monotonic()
        answers = False

        def decided() -> bool:
            nonlocal answers
            answers = process.pid is not None and self.healthy()
            return answers or process.pid is None or patience.over

        wait_until(decided, math.inf)
        if not answers or process.pid is None:
            why = (
                f"did not answer within {time.monotonic() - began:.0f} s"
                if process.pid is not None
                else f"ended with code {process.exit_code}"
            )
            self.stop()
            said = self._reason(process) or "it wrote nothing to its log"
            raise StoreUnavailable(
                f"{self.name} on port {self.port} {why}: {said} (see {process.log})"
            )

    def _reason(self, process: Process) -> str:
        """Return why a start failed, from the log; empty when nothing is there."""
        return process.tail(1)

    def start(self) -> None:
        """Start the server and wait until it is healthy."""
        self.prepare()
        self.launch()
        self.wait_healthy()

    def stop(self, timeout: float = 20.0) -> None:
        """Stop the server in order; kill it when it does not end in time."""
        if self.process is not None:
            self.process.stop(self.stop_signal, timeout)

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.stop(signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Process id while the server runs."""
        return None if self.process is None else self.process.pid

    @property
    def log(self) -> Path:
        """The server's log file."""
        return HomePaths(self.home).log(self.name)

    @staticmethod
    def clean_env() -> dict[str, str]:
        """Return our environment without ``SEGUE_*``: servers need no secrets of ours."""
        return {k: v for k, v in os.environ.items() if not k.startswith("SEGUE_")}
