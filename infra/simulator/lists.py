"""Lists that simulated listeners ask the API for, and what they take from them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from infra.simulator.catalogue import Catalogue

log = logging.getLogger("segue.simulator")

#: Tracks of a list that a listener looks at, from the top.
LOOKED_AT = 10
#: Seconds without requests after the API did not answer; listeners choose tracks themselves then.
PAUSE = 5.0


class Offered(NamedTuple):
    """A list.

    Attributes
    ----------
    tracks
        Indices in the catalogue, best first; tracks the catalogue does not know are left out.
    impression
        Its id, which a play that comes from it names.
    """

    tracks: Sequence[int]
    impression: str


class Lists:
    """Asks the API for lists, as the players of the listeners would.

    Attributes
    ----------
    asked, missed
        Lists received, and attempts that brought none.
    """

    def __init__(self, client: httpx.Client, catalogue: Catalogue) -> None:
        self._client = client
        self._index = {(t.artist, t.title): t.index for t in catalogue.tracks}
        self._not_before = 0.0
        self.asked = self.missed = 0

    def __call__(self, user: str) -> Offered | None:
        """Return a list for a listener; ``None`` where there is none now."""
        if time.monotonic() < self._not_before:
            return None
        try:
            answer = self._client.get(
                f"/v1/users/{user}/recommendations", params={"limit": LOOKED_AT}, timeout=2.0
            )
            body = answer.raise_for_status().json()
        except httpx.HTTPError as error:
            log.warning("no list from the API, listeners choose by their own taste: %s", error)
            self.missed += 1
            self._not_before = time.monotonic() + PAUSE
            return None
        self.asked += 1
        named = ((t["artist"], t["title"]) for t in body["recommendations"])
        known = [self._index[name] for name in named if name in self._index]
        return Offered(known, body["impression_id"]) if known else None
