"""Stores a listener's feedback on a recording; all feedback endpoints use it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from api.errors import ApiError, unavailable
from api.feedback import feedback_record
from api.listenbrainz.mapping import recording_msid
from api.listenbrainz.playing_now import get_playing_now
from api.listenbrainz.queries import rows_of
from api.services import Services
from api.serving.lookup import document_of
from contracts.errors import BrokerUnavailable, StoreUnavailable

_PLAYED = """
    select artist, title from listens_v1
    where user_id = %(user)s and (track_id = %(id)s or extra->>'recording_mbid' = %(id)s)
    order by played_at desc limit 1
"""
_IN_CATALOGUE = """
    select artist, title from catalogue_track_cards_v1
    where track_id::text = %(id)s or recording_mbid::text = %(id)s
    limit 1
"""
# An id made of names cannot be turned back into them: they are computed from what was heard, the
# newest first, since most love is for a track that has just been played.
_LATEST_NAMES = """
    select artist, title from listens_v1 where user_id = %(user)s
    order by played_at desc limit 500
"""
_ALL_NAMES = """
    select distinct artist, title from listens_v1 where user_id = %(user)s
    union select artist, title from listener_feedback_v1 where user_id = %(user)s
"""


async def say(services: Services, user: str, kind: str, recording: str, source: str) -> None:
    """Append feedback on a recording: played, playing now, recommended or in the catalogue.

    Parameters
    ----------
    recording
        Any id we show: a recording's MBID, its MSID, or our own track id. ``undo`` of an unknown
        one changes nothing.

    Raises
    ------
    ApiError
        404 for a recording nobody here knows, 503 when it was not acknowledged.
    """
    names = await names_of(services, user, recording)
    if names is None:
        if kind == "undo":
            return
        raise ApiError(404, "unknown-recording", f"No recording {recording} is known here.")
    message = feedback_record(services, user, kind, *names, source, recording)
    try:
        await services.log.append([message])
    except BrokerUnavailable:
        raise unavailable("The feedback was not recorded") from None


async def names_of(services: Services, user: str, recording: str) -> tuple[str, str] | None:
    """Return artist and title of an id, ``None`` for one that nothing here has."""
    known = document_of(services.model.reader, recording)
    if known is not None:
        return known.artist, known.title
    arguments = {"user": user, "id": recording}
    if playing := await _playing(services, user, recording):
        return playing
    for query in (_PLAYED, _IN_CATALOGUE):
        rows: list[tuple[Any, ...]] = await rows_of(services, query, arguments)
        if rows:
            return rows[0][0], rows[0][1]
    for query in (_LATEST_NAMES, _ALL_NAMES):
        rows = await rows_of(services, query, arguments)
        # Many names take long to fold: off the event loop.
        found = await asyncio.to_thread(_named, rows, recording)
        if found is not None:
            return found
    return None


async def _playing(services: Services, user: str, recording: str) -> tuple[str, str] | None:
    """Return the names of the current track, where the id is its own."""
    try:
        metadata = await get_playing_now(services, user)
    except StoreUnavailable:
        return None
    if metadata is None:
        return None
    names = metadata["artist_name"], metadata["track_name"]
    mbid = (metadata.get("additional_info") or {}).get("recording_mbid")
    return names if recording in (mbid, recording_msid(*names)) else None


def _named(rows: Iterable[tuple[Any, ...]], recording: str) -> tuple[str, str] | None:
    return next(((a, t) for a, t in rows if recording_msid(a, t) == recording), None)
