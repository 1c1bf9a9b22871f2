"""Archived answers of Last.fm as staging rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from batch.collectors.archive import ArchivedAnswer
from batch.collectors.lastfm import contract as c
from batch.collectors.lastfm.plays import read_row
from batch.collectors.lastfm.questions import CONTRACTS
from batch.collectors.mending import mended
from batch.collectors.plays import Refused
from batch.staging.tables import ARTISTS, SIMILAR, TAGS, TRACKS, Row, Table
from contracts.ids import normalise

SOURCE = "lastfm"
Staged = tuple[Table, Row] | Refused


def rows_of(record: ArchivedAnswer) -> Iterator[Staged]:
    """Yield the content of an answer: rows by table, and records that cannot be used."""
    if record.status in (204, 404):
        return
    method = record.params["method"]
    contract = c.RecentTracksAnswer if method == "user.getRecentTracks" else CONTRACTS.get(method)
    if contract is None:
        yield Refused("unknown-method", method, record.body)
        return
    try:
        answer, broken, _ = mended(msgspec.json.decode(record.body), contract)
    except msgspec.MsgspecError as error:
        yield Refused("shape", str(error), record.body)
        return
    yield from (Refused("odd-row", f"{path}: {why}", raw) for path, why, raw in broken)
    at = datetime.fromtimestamp(record.fetched_at / 1000, UTC)
    yield from _rows(answer, record.params, at)


def _rows(answer: Any, params: dict[str, str], at: datetime) -> Iterator[Staged]:
    match answer:
        case c.RecentTracksAnswer():
            # Plays went to the platform when they were collected; only refusals are staged.
            read = (read_row(row) for row in c.rows(answer.recenttracks.track))
            yield from (row for row in read if isinstance(row, Refused))
        case c.TopTagsAnswer():
            name = params["artist"]
            yield _artist(name, at)
            yield from _tags("artist", normalise(name), answer.toptags, at)
        case c.SimilarAnswer():
            name = params["artist"]
            yield _artist(name, at)
            for other in c.rows(answer.similarartists.artist):
                yield _artist(other.name, at, mbid=other.mbid)
                yield (
                    SIMILAR,
                    SIMILAR.row(
                        source=SOURCE,
                        source_key=normalise(name),
                        other_key=normalise(other.name),
                        score=other.match,
                        observed_at=at,
                    ),
                )
        case c.TagArtistsAnswer():
            for rank, artist in enumerate(c.rows(answer.topartists.artist)):
                yield _artist(artist.name, at, mbid=artist.mbid)
                # Only a rank is given: the first weighs 100, as in artist.getTopTags.
                yield _tag("artist", normalise(artist.name), params["tag"], 100 / (1 + rank), at)
        case c.ChartArtistsAnswer():
            for artist in c.rows(answer.artists.artist):
                yield _artist(
                    artist.name,
                    at,
                    mbid=artist.mbid,
                    listeners=artist.listeners,
                    playcount=artist.playcount,
                )
        case c.ChartTracksAnswer():
            for track in c.rows(answer.tracks.track):
                yield _track(track, at, duration_ms=1000 * _whole(track.duration) or None)
        case c.TrackInfoAnswer():
            info = answer.track
            album = info.album.title if info.album else None
            yield _track(info, at, duration_ms=_whole(info.duration) or None, album=album)
            if isinstance(info.toptags, c.Tags):
                key = _track_key(info.artist.name or info.artist.text, info.name)
                yield from _tags("track", key, info.toptags, at)


def _artist(name: str, at: datetime, **values: object) -> tuple[Table, Row]:
    known = {column: value if value != "" else None for column, value in values.items()}
    key = normalise(name)
    return ARTISTS, ARTISTS.row(source=SOURCE, source_key=key, name=name, observed_at=at, **known)


def _whole(told: c.Number) -> int:
    """Return a number that may be anything: 0, which is unknown, where Last.fm sent none."""
    text = str(told)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _track_key(artist: str, title: str) -> str:
    return f"{normalise(artist)}\x1f{normalise(title)}"


def _track(row: c.TrackRow | c.TrackInfo, at: datetime, **values: object) -> tuple[Table, Row]:
    artist = row.artist.name or row.artist.text
    return TRACKS, TRACKS.row(
        source=SOURCE,
        source_key=_track_key(artist, row.name),
        artist=artist,
        title=row.name,
        recording_mbid=row.mbid or None,
        listeners=row.listeners if row.listeners != "" else None,
        playcount=row.playcount if row.playcount != "" else None,
        observed_at=at,
        **values,
    )


def _tags(kind: str, key: str, tags: c.Tags, at: datetime) -> Iterator[tuple[Table, Row]]:
    for tag in c.rows(tags.tag):
        # track.getInfo lists tags without counts: a listed tag gets the least weight.
        yield _tag(kind, key, tag.name, _whole(tag.count) or 1, at)


def _tag(kind: str, key: str, tag: str, weight: float, at: datetime) -> tuple[Table, Row]:
    return TAGS, TAGS.row(
        source=SOURCE, kind=kind, source_key=key, tag=normalise(tag), weight=weight, observed_at=at
    )
