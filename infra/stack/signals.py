"""Signals that ask a stack to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignals:
    """Counts SIGINT, SIGTERM and SIGHUP.

    Attributes
    ----------
    count
        How many have come since :meth:`install`.
    """

    def __init__(self) -> None:
        self.count = 0
        self._interruptible = False

    def install(self) -> None:
        """Handle the signals from now on. SIGHUP stays ignored where it is (``nohup``)."""
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, self._on_signal)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """While servers are starting, make the first signal raise KeyboardInterrupt at once."""
        self._interruptible = True
        try:
            if self.count:
                raise KeyboardInterrupt
            yield
        finally:
            self._interruptible = False

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._interruptible and self.count == 1:
            raise KeyboardInterrupt
