"""Writes a listener's feedback on a track to the log, for every protocol."""

from __future__ import annotations

import time

from api.producer import LogRecord
from api.services import Services
from contracts.events import Feedback, encode
from contracts.ids import partition_of, track_id


def feedback_record(
    services: Services,
    user: str,
    kind: str,
    artist: str,
    title: str,
    source: str,
    public: str | None = None,
) -> LogRecord:
    """Return the message: ``kind`` is one of ``love``, ``hate``, ``hide`` and ``undo``.

    Parameters
    ----------
    public
        The track's id as the caller knows it; else it is made of the names.
    """
    message = Feedback(
        user_id=user,
        kind=kind,
        at=int(time.time() * 1000),
        source=source,
        track_id=public or track_id(artist, title),
        artist=artist,
        title=title,
    )
    partition = partition_of(user, services.settings.partitions)
    return LogRecord(services.topics.feedback, user.encode(), encode(message), partition)
