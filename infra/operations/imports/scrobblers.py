"""Exports of other scrobble servers and services, in the shapes their projects document.

Maloja, Koito and multi-scrobbler as JSON, YouTube Music as Google Takeout gives it, and the
``.scrobbler.log`` that Rockbox and other portable players keep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional
from infra.operations.imports.json_stream import IsRecord, elements
from infra.operations.imports.lines import LongLine, lines
from infra.operations.imports.rows import (
    ImportedRecord,
    Options,
    Parser,
    Readable,
    Refused,
    name,
    when,
)

Row = dict[str, Any]
Read = Callable[[Row, Options], PostedPlay]
#: "Watched" in front of the title of a video, in the languages of Takeout met so far.
_WATCHED = re.compile(
    r"^(?:Watched|Vous avez regardé|Has visto|Hai guardato|Você assistiu a|Je hebt gekeken naar|"
    r"Obejrzano:?|Tittade på|Så|Просмотрен[оа]? ?(?:видео)?:?)\s+"
)
_WATCHED_AFTER = re.compile(r"\s+(?:angesehen|を視聴しました|を見ました)$")
_QUOTES = '\u201e\u201c\u201d\u00ab\u00bb"\u300c\u300d'
_TOPIC = re.compile(r"\s+-\s+(?:Topic|Thema|Tema|Sujet|Onderwerp|Temat)$")


def maloja(row: Row, options: Options) -> PostedPlay:
    """Return the play of a scrobble of Maloja (time in seconds, lengths in seconds)."""
    track = row["track"] if isinstance(row.get("track"), dict) else row
    album = track.get("album")
    return PostedPlay(
        artist=name(_joined(track.get("artists", track.get("artist"))), "artist"),
        title=name(track.get("title"), "title"),
        played_at=when(row.get("time")),
        source="maloja-export",
        user=options.user,
        album=optional(album.get("albumtitle") if isinstance(album, dict) else album, MAX_NAME),
        ms_played=_seconds(row.get("duration")),
        duration_ms=_seconds(track.get("length")) or None,
    )


def koito(row: Row, options: Options) -> PostedPlay:
    """Return the play of a listen of Koito (names are lists of aliases, one of them primary)."""
    track, album = _object(row, "track"), row.get("album")
    return PostedPlay(
        artist=name(_joined([_alias(artist) for artist in _list(row.get("artists"))]), "artist"),
        title=name(_alias(track), "title"),
        played_at=when(row.get("listened_at")),
        source="koito-export",
        user=options.user,
        album=optional(_alias(album), MAX_NAME),
        duration_ms=_seconds(track.get("duration")) or None,
        recording_mbid=optional(track.get("mbid")),
    )


def multi_scrobbler(row: Row, options: Options) -> PostedPlay:
    """Return the play of multi-scrobbler (``data`` and ``meta``; lengths in seconds)."""
    data = _object(row, "data")
    meta = row.get("meta")
    brainz = _object(data, "meta").get("brainz") if isinstance(data.get("meta"), dict) else None
    source = optional(meta.get("source")) if isinstance(meta, dict) else None
    return PostedPlay(
        artist=name(_joined(data.get("artists")), "artist"),
        title=name(data.get("track"), "title"),
        played_at=when(data.get("playDate")),
        source=f"multi-scrobbler/{source}" if source else "multi-scrobbler",
        user=options.user,
        album=optional(data.get("album"), MAX_NAME),
        ms_played=_seconds(data.get("listenedFor")),
        duration_ms=_seconds(data.get("duration")) or None,
        recording_mbid=optional(brainz.get("track")) if isinstance(brainz, dict) else None,
    )


def youtube(row: Row, options: Options) -> PostedPlay:
    """Return the play of a row of YouTube Music's watch history."""
    if row.get("header") != "YouTube Music":
        raise Refused("video", "watched on YouTube, not on YouTube Music", dropped=True)
    title = row.get("title")
    shown = row.get("subtitles")
    if not isinstance(title, str) or title.startswith("http") or "titleUrl" not in row:
        raise Refused("no-name", "the video is gone: the row names no title")
    artist = shown[0].get("name") if isinstance(shown, list) and shown and isinstance(
        shown[0], dict) else None  # fmt: skip
    bare = _WATCHED_AFTER.sub("", _WATCHED.sub("", title)).strip()
    if bare != title:
        bare = bare.strip(_QUOTES + " ") or bare
    return PostedPlay(
        artist=name(_TOPIC.sub("", artist) if isinstance(artist, str) else None, "artist"),
        title=name(bare, "title"),
        played_at=when(row.get("time")),
        source="youtube-music-takeout",
        user=options.user,
    )


#: Format -> (what recognises a record, what reads it).
SHAPES: dict[str, tuple[IsRecord, Read]] = {
    "maloja": (
        lambda r: "time" in r and ("track" in r or "artists" in r) and "titleUrl" not in r,
        maloja,
    ),
    "koito": (lambda r: {"listened_at", "track", "artists"} <= r.keys(), koito),
    "multi-scrobbler": (
        lambda r: isinstance(r.get("data"), dict) and "playDate" in r["data"],
        multi_scrobbler,
    ),
    "youtube-music": (lambda r: {"header", "title", "time"} <= r.keys(), youtube),
}


def parser_of(shape: str) -> Parser:
    """Return what reads a file of one of :data:`SHAPES`."""
    is_record, read = SHAPES[shape]

    def parse(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
        for number, element in enumerate(elements(stream, is_record), 1):
            try:
                if element.torn:
                    raise Refused("bad-json", f"unreadable: {element.torn}")
                if not isinstance(element.value, dict) or not is_record(element.value):
                    raise Refused("bad-shape", f"the element is not a play in the form of {shape}")
                yield ImportedRecord(number, play=read(element.value, options))
            except Refused as refused:
                yield ImportedRecord(number, refused=refused, raw=element.raw)

    return parse


def scrobbler_log(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``.scrobbler.log`` (AudioScrobbler 1.0 and 1.1): tabs, times in seconds.

    Columns: artist, album, title, number, length in seconds, rating (``L`` heard, ``S`` skipped),
    time, MusicBrainz id. Players without a clock of their own write local time (``#TZ/UNKNOWN``);
    it is taken as UTC.
    """
    for number, line in enumerate(lines(stream), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        try:
            if len(fields) < 7 or isinstance(line, LongLine):
                raise Refused("bad-columns", f"{len(fields)} fields where 7 or 8 are expected")
            artist, album, title, _, length, rating, at = fields[:7]
            play = PostedPlay(
                artist=name(artist, "artist"),
                title=name(title, "title"),
                played_at=when(at),
                source="scrobbler-log",
                user=options.user,
                album=optional(album, MAX_NAME),
                duration_ms=_seconds(length) or None,
                skipped={"L": False, "S": True}.get(rating.strip().upper()),
                recording_mbid=optional(fields[7]) if len(fields) > 7 else None,
            )
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=line)
        else:
            yield ImportedRecord(number, play)


def _joined(names: object) -> object:
    """Return names of artists as one credit; each is a text or an object with a name."""
    found = [_named(one) for one in _list(names)]
    return ", ".join(text for text in found if text) or None


def _named(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("name", value.get("alias"))
    return value.strip() if isinstance(value, str) else ""


def _alias(thing: object) -> str | None:
    """Return the primary alias of a thing of Koito."""
    if not isinstance(thing, dict):
        return None
    aliases = [a for a in _list(thing.get("aliases")) if isinstance(a, dict)]
    best = next((a for a in aliases if a.get("is_primary")), aliases[0] if aliases else thing)
    return _named(best) or optional(best.get("title"), MAX_NAME)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _object(row: Row, field: str) -> Row:
    found = row.get(field)
    if not isinstance(found, dict):
        raise Refused("bad-shape", f"{field} is not an object")
    return found


def _seconds(value: object) -> int | None:
    """Return a length in seconds as milliseconds."""
    heard = milliseconds(value)
    return None if heard is None else milliseconds(1000 * float(str(value)))
