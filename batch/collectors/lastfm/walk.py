"""The walk through a listener's plays, oldest first, on a list that moves while it is read.

``user.getRecentTracks`` lists the newest play first, in pages counted from the newest. Reading
from the last page to the first delivers old plays before new ones, so wherever the walk stops,
everything up to there is complete. But a play added, inserted late or deleted while we read moves
the rest from page to page. Hence:

* ``to`` is fixed when the walk begins: plays that start later do not move it.
* A page is trusted when it is the last page, when the list has kept its length since the page
  before, or when it overlaps with what was delivered. Otherwise a new *leg* begins: the list from
  the newest delivered play on (``from``, inclusive, because plays may share a second), again from
  its last page.
* What was delivered lately is remembered, so that overlapping pages deliver nothing twice.

:func:`advance` is the whole logic, without input or output: state and page in, plays and state out.
"""

from __future__ import annotations

import msgspec

from batch.collectors.lastfm.contract import PageOf
from batch.collectors.plays import identity, unseen
from contracts.posted import PostedPlay

LIMIT = 200
#: Identities remembered: two pages, and every play of the newest second besides.
_REMEMBERED = 2 * LIMIT


class Walk(msgspec.Struct, frozen=True):
    """How far a walk is.

    Attributes
    ----------
    run
        Names the walk; its answers carry it in the archive.
    step
        Number of the next request.
    since, until
        ``from`` (inclusive) and ``to`` of the requests, seconds since the epoch, UTC.
    page
        Page to ask for next, from 1.
    total
        Length of the list when the last trusted page was read; ``None`` before the first of a leg.
    newest
        Second of the newest play delivered; ``since`` before the first.
    recent
        Identities of the plays delivered lately, oldest first.
    """

    run: str
    until: int
    since: int = 0
    step: int = 0
    page: int = 1
    total: int | None = None
    newest: int = 0
    recent: list[str] = []
    delivered: int = 0
    finished: bool = False

    def params(self, user: str) -> dict[str, str]:
        """Return the parameters of the next request."""
        return {
            "method": "user.getRecentTracks",
            "user": user,
            "limit": str(LIMIT),
            "page": str(self.page),
            "from": str(self.since),
            "to": str(self.until),
        }


def advance(walk: Walk, place: PageOf, plays: list[PostedPlay]) -> tuple[list[PostedPlay], Walk]:
    """Return the plays a page adds, oldest first, and the walk after it.

    Parameters
    ----------
    place
        Position of the answer's page in the list.
    plays
        Of the page, newest first as it shows them, without the one playing now.
    """
    walk = msgspec.structs.replace(walk, step=walk.step + 1)
    last = max(1, place.total_pages)
    seen = set(walk.recent)
    overlaps = any(identity(play) in seen for play in plays)
    if not _trusted(walk, place, last, overlaps):
        return [], _new_leg(walk, last)
    fresh = unseen(plays, seen)
    newest = max([walk.newest, *(play.played_at // 1000 for play in fresh.values())])
    after = msgspec.structs.replace(
        walk,
        total=place.total,
        page=walk.page - 1,
        newest=newest,
        recent=_remember(walk.recent + list(fresh), newest),
        delivered=walk.delivered + len(fresh),
        finished=walk.page == 1,
    )
    return list(fresh.values()), after


def _trusted(walk: Walk, place: PageOf, last: int, overlaps: bool) -> bool:
    if walk.total is None:
        return walk.page == last
    return walk.page >= last or walk.total == place.total or overlaps


def _new_leg(walk: Walk, last: int) -> Walk:
    """Begin again at the newest delivered play; ask for what must be the last page then."""
    if walk.total is None:  # the first guess of a leg was wrong: now the length is known
        return msgspec.structs.replace(walk, page=last)
    since = max(walk.since, walk.newest)
    # The pages not read yet, and one more for the rows that are asked for again.
    page = walk.page + 1 if since > walk.since else last
    return msgspec.structs.replace(walk, since=since, total=None, page=page)


def _remember(identities: list[str], newest: int) -> list[str]:
    cut = max(0, len(identities) - _REMEMBERED)
    while cut > 0 and identities[cut - 1].startswith(f"{newest}:"):
        cut -= 1
    return identities[cut:]
