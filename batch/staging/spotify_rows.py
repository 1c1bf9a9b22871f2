"""Archived answers of Spotify as staging rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from batch.collectors.archive import ArchivedAnswer
from batch.collectors.plays import Refused
from batch.collectors.spotify.contract import Artist, RecentlyPlayed, Track
from batch.collectors.spotify.plays import PATH
from batch.staging.tables import ARTISTS, TAGS, TRACKS, Row, Table
from contracts.ids import normalise

SOURCE = "spotify"
Staged = tuple[Table, Row] | Refused


def rows_of(record: ArchivedAnswer) -> Iterator[Staged]:
    """Yield what an answer says: rows by table, and records that cannot be used."""
    if record.status in (204, 404):
        return
    at = datetime.fromtimestamp(record.fetched_at / 1000, UTC)
    kind = record.path.split("/")[2]
    try:
        if record.path == PATH:
            played = msgspec.json.decode(record.body, type=RecentlyPlayed)
            for item in played.items:
                yield from _track(item.track, at)
        elif kind == "tracks":
            yield from _track(msgspec.json.decode(record.body, type=Track), at)
        elif kind == "artists":
            yield from _artist(msgspec.json.decode(record.body, type=Artist), at)
        elif kind != "albums":
            yield Refused("unknown-path", record.path, record.body)
    except msgspec.MsgspecError as error:
        yield Refused("shape", str(error), record.body)


def _track(track: Track, at: datetime) -> Iterator[Staged]:
    if not track.artists:
        yield Refused("no-name", "a track without artists", msgspec.json.encode(track).decode())
        return
    year = track.album.release_date[:4]
    yield (
        TRACKS,
        TRACKS.row(
            source=SOURCE,
            source_key=track.id,
            artist=track.artists[0].name,
            title=track.name,
            album=track.album.name or None,
            isrc=track.external_ids.get("isrc", "").upper() or None,
            spotify_id=track.id,
            duration_ms=track.duration_ms or None,
            year=year if year.isdigit() and year != "0000" else None,
            explicit=track.explicit,
            popularity=track.popularity,
            observed_at=at,
        ),
    )
    for artist in track.artists:
        yield from _artist(artist, at)


def _artist(artist: Artist, at: datetime) -> Iterator[Staged]:
    yield (
        ARTISTS,
        ARTISTS.row(
            source=SOURCE,
            source_key=artist.id,
            name=artist.name,
            spotify_id=artist.id,
            observed_at=at,
        ),
    )
    for genre in artist.genres:
        yield (
            TAGS,
            TAGS.row(
                source=SOURCE,
                kind="artist",
                source_key=artist.id,
                tag=normalise(genre),
                weight=1,
                observed_at=at,
            ),
        )
