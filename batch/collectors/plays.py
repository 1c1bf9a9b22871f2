"""Which collected plays are the same across sources, and how invalid rows are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable

import msgspec

from contracts.ids import track_key
from contracts.posted import PostedPlay

Deliver = Callable[[list[PostedPlay]], Awaitable[None]]
#: ``(plays delivered, plays in the list as far as it is known)``
Progress = Callable[[int, int], None]


def identity(play: PostedPlay) -> str:
    """Return what is equal for two reports of the same play: second, artist and title."""
    return f"{play.played_at // 1000}:{track_key(play.artist, play.title):x}"


def unseen(newest_first: Iterable[PostedPlay], seen: Container[str]) -> dict[str, PostedPlay]:
    """Return the plays of a page that were not delivered yet by identity, oldest first, each once.

    Parameters
    ----------
    newest_first
        As services list them; plays of one second keep their order when it is turned round.
    seen
        Identities of the plays delivered lately.
    """
    oldest_first = list(newest_first)[::-1]
    oldest_first.sort(key=lambda play: play.played_at)
    found: dict[str, PostedPlay] = {}
    for play in oldest_first:
        if (one := identity(play)) not in seen:
            found.setdefault(one, play)
    return found


def begin(since: int | None, checkpoint: int | None) -> int:
    """Return the moment to read from: `since`, but never one that would leave a gap behind it.

    Parameters
    ----------
    since
        What a person asked for; ``None``: resume at the checkpoint.
    checkpoint
        Everything up to here was delivered; ``None`` where nothing was yet.

    Examples
    --------
    >>> begin(None, None), begin(None, 50), begin(20, 50), begin(80, 50), begin(80, None)
    (0, 50, 20, 50, 80)
    """
    return min((moment for moment in (since, checkpoint) if moment is not None), default=0)


class Refused(msgspec.Struct):
    """A record of a source that cannot be used, with a short reason and the original text."""

    reason: str
    detail: str
    raw: str
