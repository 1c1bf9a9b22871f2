"""What a record of an export becomes: a play to post, or a refusal with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Protocol

import msgspec

from contracts.placeholders import is_visible
from contracts.posted import MAX_NAME, PostedPlay, storable
from infra.operations.imports.dates import UNDECIDED, moment_of


class Refused(Exception):
    """A record that becomes no play.

    Parameters
    ----------
    reason
        A short stable word for counting.
    detail
        What is wrong or why it is left out, for a person.
    dropped
        Left out on purpose (a podcast); otherwise it could not be read.
    keep
        Whether the record may be written to the file of rejects.
    """

    def __init__(
        self, reason: str, detail: str = "", *, dropped: bool = False, keep: bool = True
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.dropped = dropped
        self.keep = keep


class ImportedRecord(msgspec.Struct, gc=False):
    """One record of a file and what became of it.

    Attributes
    ----------
    line
        Number of its line, or of the element of a JSON array, from 1.
    play, refused
        One of them is set.
    raw
        The original text where it was refused. With a play it may be empty.
    head
        What must precede ``raw`` to be read again (the header of a CSV file).
    format
        What can read ``raw``, where that is not the format of the file.
    """

    line: int
    play: PostedPlay | None = None
    refused: Refused | None = None
    raw: str = ""
    head: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """The caller's options for a file.

    Attributes
    ----------
    user
        Whose plays they are; empty: the listener named in the file, else the token's account.
    private
        Take the plays of private sessions too.
    columns
        ``artist``, ``title``, ``time`` ... -> column, where the usual names do not fit.
    """

    user: str = ""
    private: bool = False
    columns: dict[str, str] = field(default_factory=dict)


class Readable(Protocol):
    """All a parser needs of a file: the next bytes, none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""
        ...


Parser = Callable[[Readable, Options], Iterator[ImportedRecord]]

# Numbers above these bounds cannot be seconds, milliseconds or microseconds of this century.
_UNITS = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0))
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_LAST_MS = 253_402_300_799_999
#: Forms of text, without commas; the most frequent first.
_FORMS = tuple(
    f"{day} {clock}"
    for day in ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%Y/%m/%d", "%a %d %b %Y")
    for clock in ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
)
#: Days since 1899-12-30, as spreadsheets store times, from 2001 to 2118. Read as seconds these
#: numbers would be hours of 1970, and there is no play of that year.
_SERIALS, _SERIAL_OF_1970 = (37_000, 80_000), 25_569
#: Days as numbers such as 20240131, until 2100. Read as seconds they too would be of 1970.
DAYS = (19_700_101, 21_001_231)
#: Names of UTC at the end of a time.
_UTC = re.compile(r"\s*(?:\(?(?:UTC|GMT|Zulu)\)?|(?:UTC|GMT)?\s*\+00:?00)$", re.IGNORECASE)


def when(value: object, order: str = UNDECIDED) -> int:
    """Return a time as milliseconds since the epoch, UTC.

    Numbers are taken as seconds, milliseconds, microseconds, nanoseconds, a spreadsheet's days or a
    date (20240131) by their size; text as such a number, ISO 8601, ``31 Jan 2012 09:05`` or
    ``Jan 31, 2012, 9:05 AM``; without an offset it is UTC.

    Parameters
    ----------
    order
        Of day and month in dates of numbers alone (``imports.dates.order_of``).

    Raises
    ------
    Refused
        ``bad-time``.

    Examples
    --------
    >>> when("2012-01-31T09:05:00Z") == when(1328000700) == when("31 Jan 2012, 09:05")
    True
    >>> when("20120131") == when(20120131) == when("2012-01-31")
    True
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            if text[4:5] == "-" or not _NUMBER.fullmatch(text):
                return _in_range(round(_moment(text, order).timestamp() * 1000))
            value = float(text) if "." in text else int(text)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(), UTC)
        if isinstance(value, datetime):
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return _in_range(round(moment.timestamp() * 1000))
        if isinstance(value, int | float) and not isinstance(value, bool):
            if _SERIALS[0] <= value <= _SERIALS[1]:
                return _in_range(round((value - _SERIAL_OF_1970) * 86_400) * 1000)
            if DAYS[0] <= value <= DAYS[1] and value == int(value):
                return _in_range(round(_moment(str(int(value)), order).timestamp() * 1000))
            for bound, factor in _UNITS:
                if abs(value) > bound:
                    return _in_range(int(value * factor))
            return _in_range(int(value * 1000))
    except (ValueError, OverflowError):
        pass
    raise Refused("bad-time", f"{str(value)[:60]!r} is not a time")


def _in_range(milliseconds: int) -> int:
    if not 0 < milliseconds <= _LAST_MS:
        raise ValueError
    return milliseconds


def _moment(text: str, order: str) -> datetime:
    text = _UTC.sub("", text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        plain = " ".join(text.replace(",", " ").split())
        for form in _FORMS:
            try:
                moment = datetime.strptime(plain, form)  # noqa: DTZ007 (made UTC below)
                break
            except ValueError:
                continue
        else:
            return moment_of(text, order)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def flag(value: object) -> bool | None:
    """Return a truth value, also written as a word; ``None`` for anything else."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def name(value: object, what: str) -> str:
    """Return an artist or title that the API can take.

    Raises
    ------
    Refused
        ``no-name``, ``too-long`` or ``bad-text``.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a song called 1979, in a table that knows numbers
    if not isinstance(value, str) or not (text := value.strip()):
        raise Refused("no-name", f"the record has no {what}")
    if len(text) > MAX_NAME:
        raise Refused("too-long", f"the {what} has {len(text)} characters")
    if not is_visible(text):
        raise Refused("bad-text", f"the {what} consists of invisible characters")
    return sound(text, what)


def sound(text: str, what: str) -> str:
    """Return the text if it can be written as UTF-8 and stored; else refuse with ``bad-text``."""
    if not storable(text):
        raise Refused("bad-text", f"the {what} has bytes that are not text; save the file in UTF-8")
    return text


class Listeners:
    """Whose play a record is, in a file that may name them.

    Parameters
    ----------
    user
        Given by the caller: the file is theirs, and plays of a second listener are left out.

    Examples
    --------
    >>> Listeners("")("ada"), Listeners("eva")("ada"), Listeners("eva")(None)
    ('ada', 'eva', 'eva')
    """

    def __init__(self, user: str) -> None:
        self._user = user
        self._first: str | None = None

    def __call__(self, named: object) -> str:
        """Return the listener.

        Raises
        ------
        Refused
            ``other-listener``, or ``bad-text`` for an invalid name.
        """
        if not isinstance(named, str) or not named:
            return self._user
        if not self._user:
            return sound(named, "listener's name") if not named.isascii() else named
        if named != self._first:
            if self._first is not None:
                raise Refused("other-listener", "the play of another listener", dropped=True)
            self._first = named
        return self._user
