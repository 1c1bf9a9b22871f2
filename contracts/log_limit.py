"""Keeps a log readable while something is broken.

The clients of a broker that is away complain several times a second each. A few of these lines say
as much as all of them.
"""

from __future__ import annotations

import logging

_MOST_KINDS = 1000


class LogLimit(logging.Filter):
    """Passes the first lines of each kind in a while; says that it leaves out, and how many.

    Lines are of one kind if one statement writes them with the same text, whatever is filled in.

    Parameters
    ----------
    lines, seconds
        Most lines of a kind in so many seconds.
    """

    def __init__(self, lines: int = 10, seconds: float = 60.0) -> None:
        super().__init__()
        self._lines = lines
        self._seconds = seconds
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line passes; adds a note to it where others do not."""
        kind = record.pathname, record.lineno, str(record.msg)
        began, count = self._seen.get(kind, (record.created, 0))
        note = ""
        if record.created - began >= self._seconds:
            if count > self._lines:
                note = f" ({count - self._lines} like this were left out)"
            began, count = record.created, 0
        if len(self._seen) > _MOST_KINDS:
            self._seen.clear()
        self._seen[kind] = began, count + 1
        if count + 1 == self._lines:
            note += f" (more like this are left out for {self._seconds:g} s)"
        if note:
            record.msg, record.args = record.getMessage() + note, ()
        return count < self._lines
