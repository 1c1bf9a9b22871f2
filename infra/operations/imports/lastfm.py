"""Last.fm: exports people make of their scrobbles, and the Last.fm-1K data set."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from contracts.posted import MAX_NAME, PostedPlay, optional
from infra.operations.imports import table
from infra.operations.imports.csv_rows import delimiter_of, head_of
from infra.operations.imports.json_stream import elements
from infra.operations.imports.lines import LongLine, lines
from infra.operations.imports.rows import (
    ImportedRecord,
    Listeners,
    Options,
    Readable,
    Refused,
    name,
    when,
)

_PLAIN = {"artist": 0, "album": 1, "title": 2, "time": 3}


def csv(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read an export with a header: ``uts,utc_time,artist,...`` or ``Artist;Album;...;Date#x``."""
    yield from table.csv(stream, options, "lastfm-export/csv")


def plain_csv(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read an export without header: artist, album, title, ``31 Jan 2012 09:05`` (UTC)."""
    rest = lines(stream)
    head, number = head_of(rest)
    yield from table.positional(
        chain([head], rest), delimiter_of(head), 4, _PLAIN, options, "lastfm-export/csv",
        first=number,
    )  # fmt: skip


def json(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read scrobbles as JSON: an array, pages of them, or an object that holds one or many."""
    for number, element in enumerate(elements(stream, is_scrobble), 1):
        try:
            if element.torn:
                raise Refused("bad-json", f"unreadable: {element.torn}")
            yield ImportedRecord(number, play=_scrobble(element.value, options.user))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=element.raw)


def is_scrobble(row: dict[str, Any]) -> bool:
    """Whether an object is a scrobble: an artist, a title, and most often a date."""
    return "artist" in row and ("name" in row or "track" in row) and "playcount" not in row


def _scrobble(row: object, user: str) -> PostedPlay:
    if not isinstance(row, dict):
        raise Refused("bad-shape", "the element is not an object")
    attributes = row.get("@attr")
    if isinstance(attributes, dict) and attributes.get("nowplaying") == "true":
        raise Refused("now-playing", "the track that played when the export was made", dropped=True)
    date = row.get("date", row.get("uts"))
    at = date.get("uts") if isinstance(date, dict) else date
    if at is None or at == "":
        raise Refused("no-time", "the scrobble has no date")
    return PostedPlay(
        artist=name(_named(row.get("artist")), "artist"),
        title=name(row.get("name", row.get("track")), "title"),
        played_at=when(at),
        source="lastfm-export/json",
        user=user,
        album=optional(_named(row.get("album")), MAX_NAME),
        recording_mbid=optional(row.get("mbid")),
    )


def _named(value: object) -> object:
    """Return the text of an artist or album: a name, or an object with ``#text`` or ``name``."""
    return value.get("#text") or value.get("name") if isinstance(value, dict) else value


def thousand(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``userid-timestamp-artid-artname-traid-traname.tsv``: no header, no quoting."""
    listener = Listeners(options.user)
    for number, line in enumerate(lines(stream), 1):
        fields = line.split("\t")
        try:
            if len(fields) != 6 or isinstance(line, LongLine):
                raise Refused("bad-columns", f"{len(fields)} fields where 6 are expected")
            user, at, _, artist, mbid, title = fields
            play = PostedPlay(
                artist=name(artist, "artist"),
                title=name(title, "title"),
                played_at=when(at),
                source="lastfm-1k",
                user=listener(user),
                recording_mbid=optional(mbid),
            )
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=line)
        else:
            yield ImportedRecord(number, play)
