"""GET /1/metadata/lookup/: the MusicBrainz ids of a recording by its names, from the catalogue."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.errors import ApiError
from api.listenbrainz.authorize import authorize
from api.listenbrainz.queries import rows_of
from api.web import SCHEME, With, answers, json_reply
from contracts.ids import normalise
from contracts.recordings import recording_key

router = APIRouter(prefix="/1/metadata", tags=["ListenBrainz"], dependencies=[SCHEME])

_LONGEST = 4096
_LOOKUP = """
    select c.recording_mbid::text, c.artist, c.title, c.album, c.duration_ms,
        array(select distinct i.value from catalogue_artist_identities_v1 i
              where i.artist_id = c.artist_id and i.scheme = 'mbid' order by 1)
    from catalogue_track_cards_v1 c
    where c.track_id = catalogue_track_named(%(artist)s, %(title)s, %(recordings)s)
        and c.recording_mbid is not null
"""


class FoundRecording(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The recording the names lead to; an empty object where none is known.

    ``metadata`` is there where it is asked for: the length in milliseconds.
    """

    recording_mbid: str | None = None
    recording_name: str | None = None
    artist_credit_name: str | None = None
    artist_mbids: list[str] | None = None
    release_name: str | None = None
    metadata: dict[str, Any] | None = None


Name = Annotated[str, Query(max_length=_LONGEST)]


@router.get(
    "/lookup", responses=answers(FoundRecording), summary="MusicBrainz ids of a recording by name"
)
async def lookup_recording(
    request: Request,
    services: With,
    artist_name: Name = "",
    recording_name: Name = "",
    metadata: str = "false",
) -> Response:
    """Return ids and names of the recording; names are compared as everywhere here.

    An album's name changes nothing: the catalogue knows a recording once.
    """
    await authorize(services.accounts, request.scope)
    for name, value in (("artist_name", artist_name), ("recording_name", recording_name)):
        if not value.strip() or "\x00" in value:
            raise ApiError(400, "bad-parameter", f"{name} is invalid or not present in arguments")
    arguments = {
        "artist": normalise(artist_name),
        "title": normalise(recording_name),
        "recordings": [recording_key(artist_name, recording_name)],
    }
    rows = await rows_of(services, _LOOKUP, arguments)
    if not rows:
        return json_reply(FoundRecording())
    mbid, artist, title, album, length, artists = rows[0]
    described = metadata.lower() in ("true", "1", "t", "yes")
    return json_reply(
        FoundRecording(
            recording_mbid=mbid,
            recording_name=title,
            artist_credit_name=artist,
            artist_mbids=artists,
            release_name=album,
            metadata={"recording": {"length": length}} if described else None,
        )
    )
