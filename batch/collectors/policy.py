"""How a source wants to be treated: pace, patience, when to leave it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of one source.

    Attributes
    ----------
    rate
        Requests a second, over all tasks of the process.
    concurrency
        Requests in flight at once.
    timeout
        Seconds one attempt may take from first byte sent to last byte read: a body that drips
        slowly runs out of it too.
    attempts
        Attempts of one call, the first included.
    first_wait, longest_wait
        Seconds: bounds of the exponential back-off between attempts.
    longest_retry_after
        A longer ``Retry-After`` than this (seconds) ends the run instead of being slept through.
    breaker_after, breaker_rest
        After so many failed attempts in a row the source is left alone for so many seconds.
    largest_body
        Bytes; a longer answer is a failed attempt.
    """

    rate: float = 4.0
    concurrency: int = 4
    timeout: float = 20.0
    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 300.0
    breaker_after: int = 15
    breaker_rest: float = 60.0
    largest_body: int = 32 * 1024 * 1024


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for; ``None`` without a readable one.

    Parameters
    ----------
    now
        Seconds since the epoch, UTC: the header may be a date (RFC 9110, 10.2.3).

    Examples
    --------
    >>> retry_after({"retry-after": "7"}, 0.0)
    7.0
    >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, 10.0)
    20.0
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        # Longer numbers of digits are no number of seconds anybody means.
        return float(text) if len(text) <= 9 else None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())
