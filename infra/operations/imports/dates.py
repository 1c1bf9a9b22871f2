"""Dates written with numbers alone: which is the day and which the month, decided by the file.

``02/01/2023`` is a day of January or of February. One file has one order. A row whose first or
second number exceeds 12 decides it, otherwise the reading in which the rows are in order of time.
If neither decides, such a date is refused: half of the plays would get a wrong month.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise

_FORM = re.compile(
    r"(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})"
    r"(?:,?[ T]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d+)?)?\s*([AaPp]\.?[Mm]\.?)?)?"
)
#: Rows looked at before the order is decided.
LOOKED_AT = 200_000
DAY_FIRST, MONTH_FIRST, UNDECIDED = "day first", "month first", ""


def is_numeric(text: object) -> bool:
    """Return whether a text is a date in numbers whose order must be decided."""
    return isinstance(text, str) and _FORM.fullmatch(text.strip()) is not None


def order_of(texts: Iterable[str]) -> str:
    """Return the order of day and month in dates of one file, in the order of the file.

    Examples
    --------
    >>> order_of(["02/01/2023 08:00", "31/12/2022 23:10"]), order_of(["02/01/2023 08:00"])
    ('day first', '')
    """
    found = [match for text in texts if (match := _FORM.fullmatch(text.strip()))]
    if any(match[2] == "." for match in found):
        return DAY_FIRST  # with full stops nobody writes the month first
    first = sum(int(match[1]) > 12 for match in found)
    second = sum(int(match[3]) > 12 for match in found)
    if first or second:
        return DAY_FIRST if first > second else MONTH_FIRST
    sorted_ = {order for order in (DAY_FIRST, MONTH_FIRST) if _in_order(found, order)}
    return sorted_.pop() if len(sorted_) == 1 else UNDECIDED


def _in_order(found: list[re.Match[str]], order: str) -> bool:
    moments = [_moment(match, order) for match in found]
    if len({moment.date() for moment in moments}) < 2:
        return False
    return all(a <= b for a, b in pairwise(moments)) or all(a >= b for a, b in pairwise(moments))


def moment_of(text: str, order: str) -> datetime:
    """Return a date in numbers as a moment, UTC.

    Raises
    ------
    ValueError
        It is no date, or the order is undecided and the date could be read both ways.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    if order == UNDECIDED:
        if match[1] != match[3]:
            raise ValueError("day or month first?")
        order = DAY_FIRST
    return _moment(match, order)


def _moment(match: re.Match[str], order: str) -> datetime:
    one, other = int(match[1]), int(match[3])
    day, month = (one, other) if order == DAY_FIRST else (other, one)
    year = int(match[4])
    if year < 100:
        year += 2000 if year < 70 else 1900
    hour, minute, second = (int(match[n] or 0) for n in (5, 6, 7))
    if half := match[8]:
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
