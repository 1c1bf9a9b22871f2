"""What can be made to go wrong, and when: the switches of the emulator.

A *point* is a moment of a request, such as ``upload:before`` or ``insertFiles:after``; faults wait
there until a request comes by. ``before`` a step nothing was done yet, ``after`` it everything was,
but the client does not know.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

#: Every point, in the order a file passes them.
POINTS = tuple(
    f"{step}:{moment}"
    for step in ("list", "upload", "insertFiles", "load", "insertReport", "remove")
    for moment in ("before", "after")
)


@dataclass
class Hold:
    """Stops the next request at a point until it is released."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Say that the point is reached and wait for the release."""
        self.reached.set()
        self.released.wait(60)


@dataclass
class _Switch:
    times: int
    status: int = 0
    seconds: float = 0.0
    hold: Hold | None = None
    skip: int = 0


class Faults:
    """Switches by point; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switches: dict[str, list[_Switch]] = {}
        self._holds: list[Hold] = []
        self._broken: dict[str, int] = {}
        self._unreported: dict[str, int] = {}

    def clear(self) -> None:
        """Take all faults back and let held requests continue."""
        with self._lock:
            held, self._holds = self._holds, []
            self._switches, self._broken, self._unreported = {}, {}, {}
        for hold in held:
            hold.released.set()

    def fail(self, point: str, times: int = 1, status: int = 503) -> None:
        """Answer the next requests with an HTTP error."""
        self._add(point, _Switch(times, status=status))

    def slow(self, point: str, seconds: float, times: int = 1) -> None:
        """Let the next requests wait."""
        self._add(point, _Switch(times, seconds=seconds))

    def hold(self, point: str, *, skip: int = 0) -> Hold:
        """Stop the next request (after ``skip`` others) until it is released."""
        hold = Hold()
        with self._lock:
            self._holds.append(hold)
        self._add(point, _Switch(1, hold=hold, skip=skip))
        return hold

    def break_loads(self, part: str, times: int = 1) -> None:
        """Let loads of files whose path contains ``part`` fail."""
        with self._lock:
            self._broken[part] = times

    def lose_reports(self, part: str, times: int = 1) -> None:
        """Leave files whose path contains ``part`` out of the load reports."""
        with self._lock:
            self._unreported[part] = times

    def is_broken(self, path: str) -> bool:
        """Whether this load fails."""
        return self._take(self._broken, path)

    def is_unreported(self, path: str) -> bool:
        """Whether nothing is reported of this load."""
        return self._take(self._unreported, path)

    def meet(self, point: str) -> int:
        """Suffer what waits at a point; return the HTTP status to answer with, or 0."""
        assert point in POINTS, point
        with self._lock:
            switch = next(iter(self._switches.get(point, [])), None)
            if switch is None:
                return 0
            if switch.skip:
                switch.skip -= 1
                return 0
            switch.times -= 1
            if switch.times <= 0:
                self._switches[point].remove(switch)
        if switch.hold is not None:
            switch.hold.wait()
        if switch.seconds:
            threading.Event().wait(switch.seconds)
        return switch.status

    def _add(self, point: str, switch: _Switch) -> None:
        assert point in POINTS, point
        with self._lock:
            self._switches.setdefault(point, []).append(switch)

    def _take(self, table: dict[str, int], path: str) -> bool:
        with self._lock:
            for part, left in table.items():
                if part in path and left > 0:
                    table[part] = left - 1
                    return True
        return False
