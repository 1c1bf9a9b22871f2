"""Rate limit of log records.

While a broker is unreachable, each of its clients logs several lines a second. A few of these lines
have the same information as all of them.
"""

from __future__ import annotations

import logging

_MOST_KINDS = 1000


class LogLimit(logging.Filter):
    """Rate-limits log records per statement and reports how many were suppressed.

    Records are of one kind if one statement writes them with the same format string.

    Parameters
    ----------
    lines, seconds
        At most ``lines`` records of a kind pass in ``seconds`` seconds.

    Examples
    --------
    >>> limit = LogLimit(lines=1, seconds=60)
    >>> record = logging.LogRecord("a", logging.WARNING, "a.py", 1, "down", (), None)
    >>> limit.filter(record), record.msg
    (True, 'down (more like this are left out for 60 s)')
    >>> limit.filter(logging.LogRecord("a", logging.WARNING, "a.py", 1, "down", (), None))
    False
    """

    def __init__(self, lines: int = 10, seconds: float = 60.0) -> None:
        super().__init__()
        self._lines = lines
        self._seconds = seconds
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record passes; appends a note if others are suppressed."""
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
