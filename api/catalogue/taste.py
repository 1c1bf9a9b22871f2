"""What a listener's last plays say about the artists of a station."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field

from api.catalogue.reading import ask
from api.services import Services
from api.serving.lookup import document_at
from contracts.errors import IncompatibleState, StoreUnavailable
from contracts.features import Listener
from contracts.ids import artist_id, track_key

#: Plays that are looked at; the newest of them are not played again at once.
_PLAYS = 100
_JUST_PLAYED = 10
#: What a neighbour of an artist heard counts, beside 1 for the artist heard most.
_NEIGHBOUR = 0.6

# Ids of the artists heard, merges followed, and of artists near to them.
_NEAR = """
    with heard as (
        select r.root_id as artist_id, max(h.share) as share
        from unnest(%(ids)s::uuid[], %(shares)s::real[]) h (id, share)
        join catalogue_artist_roots_v1 r on r.artist_id = h.id
        group by 1
    )
    select artist_id, max(share) from (
        select artist_id, share from heard
        union all
        select n.other_id, %(neighbour)s * h.share * n.score
        from heard h join catalogue_neighbours_v1 n using (artist_id)
    ) s group by 1
"""


@dataclass(frozen=True, slots=True)
class Taste:
    """How near artists are to a listener (0 .. 1), and which track keys are left out."""

    artists: dict[uuid.UUID, float] = field(default_factory=dict)
    left_out: frozenset[int] = frozenset()
    degraded: bool = False

    def allows(self, artist: str, title: str) -> bool:
        """Whether a track may be shown: not hidden, not just played."""
        return not self.left_out or track_key(artist, title) not in self.left_out


async def taste_of(services: Services, user: str) -> Taste:
    """Return a listener's taste; empty for a stranger, degraded where a store does not answer."""
    reader = services.model.reader
    try:
        blob = await services.features.get(user)
        listener = Listener.unpack(blob)
    except (StoreUnavailable, IncompatibleState):
        return Taste(degraded=True)
    left_out = frozenset([*listener.hidden.tolist(), *listener.tracks[-_JUST_PLAYED:].tolist()])
    if reader is None:
        return Taste(left_out=left_out, degraded=True)
    played = (
        document_at(reader, row)
        for row in reader.lookup(listener.tracks[-_PLAYS:]).tolist()
        if row >= 0
    )
    heard = Counter(artist_id(known.artist) for known in played if known is not None)
    if not heard:
        return Taste(left_out=left_out)
    most = max(heard.values())
    rows = await ask(
        services,
        _NEAR,
        {
            "ids": list(heard),
            "shares": [count / most for count in heard.values()],
            "neighbour": _NEIGHBOUR,
        },
    )
    return Taste({artist: float(near) for artist, near in rows}, left_out)
