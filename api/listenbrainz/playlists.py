"""Our lists as the playlists that ListenBrainz makes for its users, in JSPF.

Players and playlist tools pull these. The lists are live: a playlist's id stays the same for a week
(a day), its tracks follow what the listener plays.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from api.errors import ApiError, unavailable
from api.listenbrainz.authorize import authorize
from api.listenbrainz.mapping import mbid_of, recording_msid
from api.listenbrainz.queries import check_known, page_of, reader_of, rows_of
from api.listenbrainz.ranked import rank_now, readable
from api.services import Services
from api.serving.lookup import Document, document_at
from api.web import SCHEME, With, json_reply
from contracts.errors import StoreUnavailable
from contracts.ids import normalise, track_key
from contracts.recordings import recording_key
from online_model import Recommender

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])

#: Tracks of a playlist, and how far down the ranking they are looked for.
LENGTH, DEPTH = 50, 500
#: Clients cut these addresses off to get at the ids.
_PLAYLIST, _RECORDING = "https://listenbrainz.org/playlist/", "https://musicbrainz.org/recording/"
_OF_PLAYLIST = "https://musicbrainz.org/doc/jspf#playlist"
_OF_TRACK = "https://musicbrainz.org/doc/jspf#track"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:segue:playlist")
_IN_CATALOGUE = """
    select n.place, c.album, c.recording_mbid::text, c.duration_ms
    from unnest(%(artists)s::text[], %(titles)s::text[], %(recordings)s::text[])
        with ordinality n (artist, title, recording, place)
    join catalogue_track_cards_v1 c
        on c.track_id = catalogue_track_named(n.artist, n.title, array[n.recording])
"""


class Kind(NamedTuple):
    """A playlist we make; ``patch`` is what ListenBrainz calls its kind."""

    patch: str
    title: str
    about: str
    days: int


KINDS = (
    Kind("weekly-exploration", "Weekly Exploration", "tracks not played lately", 7),
    Kind("weekly-jams", "Weekly Jams", "tracks that were played before", 7),
    Kind("daily-jams", "Daily Jams", "what to play next", 1),
)


class Playlist(NamedTuple):
    """A playlist of a listener for the period that begins on a day."""

    user: str
    kind: Kind
    day: datetime

    @property
    def id(self) -> str:
        """Its id: the same for a listener, a kind and a period."""
        name = f"{self.user}\x1f{self.kind.patch}\x1f{self.day:%Y-%m-%d}"
        return str(uuid.uuid5(_NAMESPACE, name))


def playlists_of(user: str, now: datetime) -> Iterator[Playlist]:
    """Yield the playlists of a listener, the newest period of each kind."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for kind in KINDS:
        begin = today if kind.days == 1 else today - timedelta(days=today.weekday())
        yield Playlist(user, kind, begin)


@router.get("/user/{user}/playlists/createdfor", summary="Playlists made for a listener")
@router.get("/user/{user}/playlists/recommendations", summary="The same, under its newer name")
async def created_for(
    request: Request,
    services: With,
    user: str,
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return the playlists without their tracks, which ``/1/playlist/{id}`` has."""
    await reader_of(request, services, user)
    await check_known(services, user)
    found = list(playlists_of(user, datetime.now(UTC)))
    return _page([_jspf(each, []) for each in found], count, offset)


@router.get("/user/{user}/playlists", summary="Playlists a listener made (none here)")
@router.get("/user/{user}/playlists/collaborator", summary="Playlists shared (none here)")
@router.get("/user/{user}/playlists/search", summary="Search in playlists (none here)")
async def own_playlists(
    request: Request,
    services: With,
    user: str,
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return an empty page: listeners make no playlists here."""
    await reader_of(request, services, user)
    await check_known(services, user)
    return _page([], count, offset)


@router.get("/playlist/{playlist_id}", summary="A playlist with its tracks")
async def playlist(
    request: Request, services: With, playlist_id: str, fetch_metadata: str = "true"
) -> Response:
    """Return a playlist of the token's account as JSPF."""
    identity = await authorize(services.accounts, request.scope)
    identity.check_acts_for(identity.user_id)
    wanted = playlist_id.lower()
    for each in playlists_of(identity.user_id, datetime.now(UTC)):
        if each.id == wanted:
            tracks = await _tracks(services, each, described=fetch_metadata.lower() != "false")
            return json_reply(_jspf(each, tracks))
    raise ApiError(404, "unknown-playlist", f"Cannot find playlist: {playlist_id}")


@router.get("/user/{user}/following", summary="Whom a listener follows (nobody here)")
async def following(request: Request, services: With, user: str) -> Response:
    """Return an empty list: nobody follows anybody here."""
    return await _nobody(request, services, user, {"following": [], "user": user})


@router.get("/user/{user}/followers", summary="Who follows a listener (nobody here)")
async def followers(request: Request, services: With, user: str) -> Response:
    """Return an empty list."""
    return await _nobody(request, services, user, {"followers": [], "user": user})


@router.get("/user/{user}/similar-users", summary="Similar listeners (always empty)")
async def similar_users(request: Request, services: With, user: str) -> Response:
    """Return an empty list: what others play is private here."""
    return await _nobody(request, services, user, {"payload": []})


async def _nobody(request: Request, services: Services, user: str, body: Any) -> Response:
    await reader_of(request, services, user)
    await check_known(services, user)
    return json_reply(body)


def _page(playlists: list[dict[str, Any]], count: str | None, offset: str | None) -> Response:
    wanted, skipped = page_of(count, offset)
    shown = playlists[skipped : skipped + wanted]
    return json_reply(
        {
            "count": len(shown),
            "offset": skipped,
            "playlist_count": len(playlists),
            "playlists": shown,
        }
    )


def _jspf(playlist: Playlist, tracks: list[dict[str, Any]]) -> dict[str, Any]:
    kind, day = playlist.kind, playlist.day
    period = f"week of {day:%Y-%m-%d} Mon" if kind.days == 7 else f"{day:%Y-%m-%d %a}"
    ends = day + timedelta(days=kind.days)
    about: dict[str, Any] = {
        "public": False,
        "creator": "segue",
        "created_for": playlist.user,
        "collaborators": [],
        "last_modified_at": day.isoformat(),
        "additional_metadata": {
            "algorithm_metadata": {"source_patch": kind.patch},
            "expires_at": ends.isoformat(),
        },
    }
    return {
        "playlist": {
            "identifier": f"{_PLAYLIST}{playlist.id}",
            "title": f"{kind.title} for {playlist.user}, {period}",
            "annotation": f"<p>Made by Segue: {kind.about}.</p>",
            "creator": "segue",
            "date": day.isoformat(),
            "extension": {_OF_PLAYLIST: about},
            "track": tracks,
        }
    }


async def _tracks(
    services: Services, playlist: Playlist, *, described: bool
) -> list[dict[str, Any]]:
    try:
        blob = await services.features.get(playlist.user)
    except StoreUnavailable:
        raise unavailable("The listener's plays cannot be read") from None
    reader = services.model.reader
    if reader is None:
        return []
    # 500 tracks take milliseconds, which the event loop must not spend.
    shown = await services.slow.run(reader, lambda model, _: _ranked(model, blob, playlist.kind))
    known = await _known(services, shown) if described else {}
    return [_track(playlist, each, *known.get(i, (None, None, None))) for i, each in shown.items()]


def _ranked(reader: Recommender, blob: bytes | None, kind: Kind) -> dict[int, Document]:
    """Return the tracks by their place, from 1."""
    listener = readable(blob)
    discover = kind.patch == "weekly-exploration"
    ranking = rank_now(reader, listener, DEPTH, discover=discover)
    found = [document_at(reader, index) for index in ranking.indices.tolist()]
    tracks = [each for each in found if each is not None]
    if kind.patch == "weekly-jams":
        played = set(listener.tracks.tolist())
        # What the listener knows comes first; the rest fills the list.
        tracks.sort(key=lambda each: track_key(each.artist, each.title) not in played)
    return dict(enumerate(tracks[:LENGTH], start=1))


async def _known(services: Services, tracks: dict[int, Document]) -> dict[int, tuple[Any, ...]]:
    """Return album, MBID and length of the tracks that the catalogue has, by their place."""
    names = [(each.artist, each.title) for each in tracks.values()]
    values = {
        "artists": [normalise(artist) for artist, _ in names],
        "titles": [normalise(title) for _, title in names],
        "recordings": [recording_key(*each) for each in names],
    }
    return {place: tuple(rest) for place, *rest in await rows_of(services, _IN_CATALOGUE, values)}


def _track(
    playlist: Playlist, track: Document, album: str | None, mbid: str | None, length: int | None
) -> dict[str, Any]:
    """Return a track; clients take the first identifier for an MBID, so there is always one."""
    mbid = mbid_of(track.track_id, track.artist, track.title) or mbid
    name = (
        f"{_RECORDING}{mbid}" if mbid else f"urn:uuid:{recording_msid(track.artist, track.title)}"
    )
    about = {
        "added_at": playlist.day.isoformat(),
        "added_by": "segue",
        "additional_metadata": {},
        "artist_identifiers": [],
    }
    made: dict[str, Any] = {
        "identifier": [name],
        "creator": track.artist,
        "title": track.title,
        "album": album or "",
        "extension": {_OF_TRACK: about},
    }
    return {**made, "duration": length} if length else made
