"""Times, ages, numbers and names as a person reads them; the filters of the templates."""

from __future__ import annotations

import unicodedata
import zlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

#: Tints of the squares that stand in for pictures (`.hue-N` in the style).
HUES = 6


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone; UTC for one this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(value: float | str | datetime) -> datetime:
    """Return a time given as ISO 8601, or in seconds or milliseconds since the epoch."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    seconds = value / 1000 if value > 1e11 else value
    return datetime.fromtimestamp(seconds, UTC)


def age(seconds: float) -> str:
    """Return how long ago something was.

    Examples
    --------
    >>> age(0.4), age(75), age(7200), age(200_000)
    ('just now', '1 minute ago', '2 hours ago', '2 days ago')
    """
    if seconds < 1.5:
        return "just now"
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count:,} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def when(value: float | str | datetime | None, zone: str, form: str = "%d %b %Y, %H:%M") -> Markup:
    """Return a time in the reader's zone."""
    if value is None:
        return Markup("–")
    found = moment(value)
    text = found.astimezone(zone_of(zone)).strftime(form)
    return Markup('<time datetime="{}">{}</time>').format(found.isoformat(), text)


def ago(value: float | str | datetime | None, now: datetime | None = None) -> Markup:
    """Return how long ago a time was; the script keeps it true while the page is open."""
    if value is None:
        return Markup("never")
    found = moment(value)
    text = age(((now or datetime.now(UTC)) - found).total_seconds())
    return Markup('<time data-ago datetime="{}">{}</time>').format(found.isoformat(), text)


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with separators; a dash for an unknown one.

    Examples
    --------
    >>> number(21807), number(0.1234, 2), number(None)
    ('21,807', '0.12', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}"


def lasting(milliseconds: int | None) -> str:
    """Return a length of music.

    Examples
    --------
    >>> lasting(215_000), lasting(None)
    ('3:35', '–')
    """
    if milliseconds is None:
        return "–"
    seconds = round(milliseconds / 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"


def chance(share: float) -> str:
    """Return a probability with two significant digits.

    Examples
    --------
    >>> chance(0.02), chance(0.0004), chance(1)
    ('2 %', '0.04 %', '100 %')
    """
    return f"{100 * share:.{2 if share < 0.995 else 3}g} %"


def hue(name: str) -> int:
    """Return the tint of a name: always the same one."""
    return zlib.crc32(name.casefold().encode("utf-8", "replace")) % HUES


def initial(name: str) -> str:
    """Return the letter shown for a name without a picture.

    Examples
    --------
    >>> initial("the Borrowed Moths"), initial("'68"), initial("‮")
    ('B', '6', '♪')
    """
    text = name.strip()
    if text.casefold().startswith("the ") and len(text) > 4:
        text = text[4:]
    for letter in text:
        if unicodedata.category(letter)[0] in "LN":
            return letter.upper()[:1]
    return "♪"


def plural(count: float, one: str, many: str = "") -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> plural(1, "play"), plural(1200, "play"), plural(2, "entry", "entries")
    ('1 play', '1,200 plays', '2 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def tile(name: str) -> Markup:
    """Return the HTML of an artist's square, shown where there is no picture."""
    return Markup('<span class="tile hue-{}" aria-hidden="true">{}</span>').format(
        hue(name), escape(initial(name))
    )
