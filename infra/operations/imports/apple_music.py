"""Apple Music, as Apple's privacy portal gives it: play activity, and plays by day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional
from infra.operations.imports import csv_rows
from infra.operations.imports.lines import lines
from infra.operations.imports.rows import ImportedRecord, Options, Readable, Refused, name, when

Read = Callable[[Mapping[str, str], Options, int], PostedPlay]
_SKIPS = re.compile(r"SKIP|TRACK_SKIPPED|MANUALLY_SELECTED_PLAYBACK", re.IGNORECASE)


def kind_of(header: list[str]) -> str | None:
    """Return the format of a csv file with this header, ``None`` if it is not one of Apple's."""
    names = {column.strip().lower() for column in header}
    if "event end timestamp" in names and "play duration milliseconds" in names:
        return "apple-music-activity"
    if {"track description", "date played"} <= names:
        return "apple-music-days"
    return None


def activity(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``Apple Music Play Activity.csv``: a row an event, of which PLAY_END is a play."""
    return _read(stream, options, _of_activity)


def days(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``Apple Music - Play History Daily Tracks.csv``: tracks of a day, with their plays.

    The day alone is known, so the plays of a day lie one after the other in the order of the file.
    """
    return _read(stream, options, _of_day)


def _of_activity(row: Mapping[str, str], options: Options, _: int) -> PostedPlay:
    if row.get("event type", "PLAY_END").upper() not in ("PLAY_END", ""):
        raise Refused("no-play", "the row does not end a play", dropped=True)
    if row.get("media type", "AUDIO").upper() not in ("AUDIO", ""):
        raise Refused("video", "no music", dropped=True)
    heard = milliseconds(row.get("play duration milliseconds"))
    if heard == 0:
        raise Refused("not-heard", "0 ms were played", dropped=True)
    title = row.get("song name") or row.get("content name") or row.get("title")
    start, ended = row.get("event start timestamp"), row.get("event end timestamp")
    if not start and not ended:
        raise Refused("no-time", "the row has no time")
    reason = optional(row.get("end reason type"))
    return PostedPlay(
        artist=name(row.get("artist name") or row.get("artist"), "artist"),
        title=name(title, "title"),
        played_at=when(start) if start else when(ended) - (heard or 0),
        source="apple-music-export/activity",
        user=options.user,
        album=optional(row.get("album name") or row.get("container name"), MAX_NAME),
        ms_played=heard,
        duration_ms=milliseconds(row.get("media duration in milliseconds")) or None,
        skipped=True if reason and _SKIPS.search(reason) else None,
        reason_end=reason,
    )


def _of_day(row: Mapping[str, str], options: Options, number: int) -> PostedPlay:
    if row.get("media type", "AUDIO").upper() not in ("AUDIO", ""):
        raise Refused("video", "no music", dropped=True)
    artist, dash, title = (row.get("track description") or "").partition(" - ")
    if not dash:
        raise Refused("no-name", "the description is not 'artist - title'")
    heard = milliseconds(row.get("play duration milliseconds"))
    if heard == 0:
        raise Refused("not-heard", "0 ms were played", dropped=True)
    offset = 240 * (number % 360) + number // 360
    return PostedPlay(
        artist=name(artist, "artist"),
        title=name(title, "title"),
        played_at=when(row.get("date played", "")) + min(offset, 86_399) * 1000,
        source="apple-music-export/days",
        user=options.user,
        ms_played=heard,
    )


def _read(stream: Readable, options: Options, read: Read) -> Iterator[ImportedRecord]:
    source_lines = lines(stream)
    head, number = csv_rows.head_of(source_lines)
    delimiter = csv_rows.delimiter_of(head)
    header = next(csv_rows.rows([head], delimiter, 0), None)
    columns = [column.strip().lower() for column in (header.fields if header else None) or []]
    seen: dict[str, int] = {}
    for row in csv_rows.rows(source_lines, delimiter, len(columns), first=number + 1):
        try:
            if row.fields is None or len(row.fields) != len(columns):
                raise Refused("bad-columns", f"{len(columns)} fields are expected")
            held = dict(zip(columns, row.fields, strict=True))
            day = held.get("date played", "")
            seen[day] = seen.get(day, -1) + 1
            yield ImportedRecord(row.line, play=read(held, options, seen[day]))
        except Refused as refused:
            yield ImportedRecord(row.line, refused=refused, raw=row.raw, head=head)
