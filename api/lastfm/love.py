"""Love and its opposite, as Last.fm's protocols tell them, on the way to the log."""

from __future__ import annotations

import time

from api.auth import Identity
from api.producer import Record
from api.services import Services
from contracts.events import Feedback, encode
from contracts.ids import partition_of, track_id

#: Most characters of artist and title together.
LONGEST = 2000


def are_names(artist: str, title: str) -> bool:
    """Whether something can be said of a track with these names."""
    names = artist + title
    return bool(artist and title) and "\x00" not in names and len(names) <= LONGEST


def said(
    services: Services, identity: Identity, kind: str, artist: str, title: str, source: str
) -> Record:
    """Return the message that says what a listener thinks of a track (``love``, ``undo``)."""
    user = identity.user_id
    message = Feedback(
        user_id=user,
        kind=kind,
        at=int(time.time() * 1000),
        source=source,
        track_id=track_id(artist, title),
        artist=artist,
        title=title,
    )
    partition = partition_of(user, services.settings.partitions)
    return Record(services.topics.feedback, user.encode(), encode(message), partition)
