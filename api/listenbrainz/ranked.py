"""A list as ListenBrainz clients get it: not logged as an impression, nothing explored."""

from __future__ import annotations

import time

from contracts.errors import IncompatibleState
from contracts.features import Listener
from online_model import Ranking, Recommender


def readable(blob: bytes | None) -> Listener:
    """Return the listener in a blob; a stranger where it cannot be read, as the list under /v1."""
    try:
        return Listener.unpack(blob)
    except IncompatibleState:
        return Listener.unpack(None)


def rank_now(
    reader: Recommender, listener: Listener, length: int, *, discover: bool = False
) -> Ranking:
    """Return the list of this moment, of up to ``length`` tracks."""
    return reader.recommend(
        listener.tracks,
        listener.seconds,
        listener.ratios,
        now=int(time.time()),
        k=length,
        discover=discover,
        hidden=listener.hidden,
    )
