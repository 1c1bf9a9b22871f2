"""ListenBrainz: the export of a user and the public dump, one listen a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.listenbrainz.mapping import source_of
from batch.collectors.listenbrainz.plays import length
from contracts.posted import MAX_NAME, PostedPlay, optional
from infra.operations.imports.json_stream import decoded, elements
from infra.operations.imports.lines import LongLine, lines
from infra.operations.imports.rows import (
    ImportedRecord,
    Listeners,
    Options,
    Readable,
    Refused,
    name,
    sound,
    when,
)


def jsonl(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read listens one a line (``listens/<year>/<month>.jsonl``, ``*.listens``)."""
    read = _Reader(options)
    for number, line in enumerate(lines(stream), 1):
        if not line.strip():
            continue
        try:
            if isinstance(line, LongLine):
                raise Refused("too-long", "the line is too long")
            yield ImportedRecord(number, play=read(decoded(sound(line, "line"))))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=line)


def array(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read an array of listens (older exports), also inside an object (a submission)."""
    read = _Reader(options)
    for number, element in enumerate(elements(stream, is_listen), 1):
        try:
            if element.torn:
                raise Refused("bad-json", f"unreadable: {element.torn}")
            yield ImportedRecord(number, play=read(element.value))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=element.raw)


def is_listen(row: dict[str, Any]) -> bool:
    """Whether an object is a listen."""
    return "track_metadata" in row


class _Reader:
    """Reads listens; if the caller names a listener, all plays of the file become theirs."""

    def __init__(self, options: Options) -> None:
        self._listener = Listeners(options.user)

    def __call__(self, listen: object) -> PostedPlay:
        if not isinstance(listen, dict) or not isinstance(
            metadata := listen.get("track_metadata"), dict
        ):
            raise Refused("bad-shape", "a listen is an object with track_metadata")
        title, artist = (
            name(metadata.get("track_name"), "title"),
            name(metadata.get("artist_name"), "artist"),
        )
        info: dict[str, Any] = metadata.get("additional_info") or {}
        if not isinstance(info, dict):
            info = {}
        mapping = metadata.get("mbid_mapping")
        mapped = mapping.get("recording_mbid") if isinstance(mapping, dict) else None
        at = listen.get("listened_at", listen.get("timestamp"))
        if at is None:
            raise Refused("no-time", "the listen has no listened_at (playing now?)")
        skipped = info.get("skipped")
        return PostedPlay(
            artist=artist,
            title=title,
            played_at=when(at),
            source=optional(source_of(info)) or "listenbrainz",
            user=self._listener(listen.get("user_name")),
            album=optional(metadata.get("release_name"), MAX_NAME),
            ms_played=length(info, "ms_played", "duration_played"),
            duration_ms=length(info, "duration_ms", "duration"),
            skipped=skipped if isinstance(skipped, bool) else None,
            reason_end=optional(info.get("reason_end")),
            recording_mbid=optional(info.get("recording_mbid")) or optional(mapped),
            isrc=optional(info.get("isrc")),
            spotify_uri=optional(info.get("spotify_id")),
        )
