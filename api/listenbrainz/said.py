"""Writing what a listener says of a recording, whichever endpoint it came through."""

from __future__ import annotations

from typing import Any

from api.errors import ApiError, unavailable
from api.feedback import feedback_record
from api.listenbrainz.queries import rows_of
from api.services import Services
from api.serving.lookup import document_of
from contracts.errors import BrokerUnavailable

_PLAYED = """
    select artist, title from listens_v1
    where user_id = %(user)s and (track_id = %(id)s or extra->>'recording_mbid' = %(id)s)
    order by played_at desc limit 1
"""


async def say(services: Services, user: str, kind: str, recording: str, source: str) -> None:
    """Append feedback on a recording that was played or can be recommended.

    Raises
    ------
    ApiError
        404 for a recording nobody here knows, 503 when it was not acknowledged.
    """
    artist, title = await _names(services, user, recording)
    message = feedback_record(services, user, kind, artist, title, source, recording)
    try:
        await services.log.append([message])
    except BrokerUnavailable:
        raise unavailable("The feedback was not recorded") from None


async def _names(services: Services, user: str, recording: str) -> tuple[str, str]:
    known = document_of(services.model.reader, recording)
    if known is not None:
        return known.artist, known.title
    rows: list[tuple[Any, ...]] = await rows_of(services, _PLAYED, {"user": user, "id": recording})
    if not rows:
        raise ApiError(404, "unknown-recording", f"No recording {recording} was ever played here.")
    return rows[0][0], rows[0][1]
