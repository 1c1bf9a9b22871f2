"""Archived answers of Spotify as staging rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from batch.collectors.archive import ArchivedAnswer
from batch.collectors.mending import mended
from batch.collectors.plays import Refused
from batch.collectors.spotify.contract import Album, Artist, RecentlyPlayed, Track
from batch.collectors.spotify.plays import PATH
from batch.staging.tables import ARTISTS, TAGS, TRACKS, Row, Table
from contracts.ids import normalise

SOURCE = "spotify"
Staged = tuple[Table, Row] | Refused
_CONTRACTS: dict[str, Any] = {"tracks": Track, "artists": Artist}


def rows_of(record: ArchivedAnswer) -> Iterator[Staged]:
    """Yield the content of an answer: rows by table, and records that cannot be used."""
    if record.status in (204, 404):
        return
    at = datetime.fromtimestamp(record.fetched_at / 1000, UTC)
    kind = record.path.split("/")[2]
    try:
        contract: Any = RecentlyPlayed if record.path == PATH else _CONTRACTS.get(kind)
        if contract is not None:
            answer, broken, _ = mended(msgspec.json.decode(record.body), contract)
            yield from (Refused("odd-row", f"{path}: {why}", raw) for path, why, raw in broken)
            yield from _rows(answer, at)
        elif kind != "albums":
            yield Refused("unknown-path", record.path, record.body)
    except msgspec.MsgspecError as error:
        yield Refused("shape", str(error), record.body)


def _rows(answer: RecentlyPlayed | Track | Artist, at: datetime) -> Iterator[Staged]:
    match answer:
        case RecentlyPlayed():
            for item in answer.items:
                if item.track.id is not None:  # a local file is known to nobody else
                    yield from _track(item.track, at)
        case Track():
            yield from _track(answer, at)
        case Artist():
            yield from _artist(answer, at)


def _track(track: Track, at: datetime) -> Iterator[Staged]:
    if not track.artists or track.id is None:
        yield Refused(
            "no-name", "a track without artists or id", msgspec.json.encode(track).decode()
        )
        return
    album = track.album or Album()
    year = album.release_date[:4]
    yield (
        TRACKS,
        TRACKS.row(
            source=SOURCE,
            source_key=track.id,
            artist=track.artists[0].name,
            title=track.name,
            album=album.name or None,
            isrc=(track.external_ids.get("isrc") or "").upper() or None,
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
    if artist.id is None:
        return
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
