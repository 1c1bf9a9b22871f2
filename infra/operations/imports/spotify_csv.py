"""Spotify's exports saved again as csv, the most frequent way people keep them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from contracts.posted import PostedPlay
from infra.operations.imports import csv_rows
from infra.operations.imports.lines import lines
from infra.operations.imports.rows import ImportedRecord, Options, Readable, Refused
from infra.operations.imports.spotify import AccountReader, ExtendedReader

#: Name of a column without case and underscores -> the field of the row.
_ACCOUNT = {"endtime": "endTime", "artistname": "artistName", "trackname": "trackName",
            "msplayed": "msPlayed", "podcastname": "podcastName",
            "episodename": "episodeName"}  # fmt: skip
_EXTENDED = {name.replace("_", ""): name for name in (
    "ts", "ms_played", "master_metadata_track_name", "master_metadata_album_artist_name",
    "master_metadata_album_album_name", "spotify_track_uri", "episode_name",
    "spotify_episode_uri", "reason_end", "skipped", "offline", "offline_timestamp",
    "incognito_mode", "audiobook_title", "audiobook_uri",
)}  # fmt: skip


def kind_of(header: list[str]) -> str | None:
    """Return the format of a csv file with this header, ``None`` if it is not one of Spotify's."""
    names = {_plain(column) for column in header}
    if {"endtime", "artistname", "trackname", "msplayed"} <= names:
        return "spotify-account-csv"
    if {"ts", "msplayed", "mastermetadatatrackname"} <= names:
        return "spotify-csv"
    return None


def account(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read account data; the order of the file is the order of playing."""
    return _read(stream, AccountReader(options), _ACCOUNT)


def extended(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read the extended history."""
    return _read(stream, ExtendedReader(options), _EXTENDED)


def _read(
    stream: Readable, read: Callable[[dict[str, Any]], PostedPlay], fields: dict[str, str]
) -> Iterator[ImportedRecord]:
    source_lines = lines(stream)
    head, number = csv_rows.head_of(source_lines)
    delimiter = csv_rows.delimiter_of(head)
    header = next(csv_rows.rows([head], delimiter, 0), None)
    columns = [_plain(column) for column in (header.fields if header else None) or []]
    for row in csv_rows.rows(source_lines, delimiter, len(columns), first=number + 1):
        try:
            if row.fields is None or len(row.fields) != len(columns):
                raise Refused("bad-columns", f"{len(columns)} fields are expected")
            held = zip(columns, row.fields, strict=True)
            yield ImportedRecord(
                row.line, play=read({fields[c]: v for c, v in held if c in fields and v})
            )
        except Refused as refused:
            yield ImportedRecord(row.line, refused=refused, raw=row.raw, head=head)


def _plain(column: str) -> str:
    return column.strip().lower().replace("_", "").replace(" ", "")
