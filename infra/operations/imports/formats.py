"""Detects the format of a file from its content, and names its reader."""

from __future__ import annotations

import csv
import io
import json
import re

from contracts.imports import FORMATS as about
from infra.operations.imports import (
    apple_music,
    lastfm,
    listenbrainz,
    rejects,
    scrobblers,
    spotify,
    spotify_csv,
    table,
)
from infra.operations.imports.csv_rows import delimiter_of, head_of
from infra.operations.imports.lines import encoding_of
from infra.operations.imports.rows import Options, Parser

_PARSERS: dict[str, Parser] = {
    "spotify": spotify.extended,
    "spotify-account": spotify.account,
    "spotify-csv": spotify_csv.extended,
    "spotify-account-csv": spotify_csv.account,
    "youtube-music": scrobblers.parser_of("youtube-music"),
    "apple-music-activity": apple_music.activity,
    "apple-music-days": apple_music.days,
    "maloja": scrobblers.parser_of("maloja"),
    "koito": scrobblers.parser_of("koito"),
    "multi-scrobbler": scrobblers.parser_of("multi-scrobbler"),
    "scrobbler-log": scrobblers.scrobbler_log,
    "lastfm-csv": lastfm.csv,
    "lastfm-plain": lastfm.plain_csv,
    "lastfm-json": lastfm.json,
    "lastfm-1k": lastfm.thousand,
    "listenbrainz": listenbrainz.jsonl,
    "listenbrainz-json": listenbrainz.array,
    "csv": table.csv,
    "jsonl": table.jsonl,
    "json": table.json,
    "parquet": table.parquet,
}
#: Format -> (what reads it, what it is); the names and texts are the contract with the API.
FORMATS: dict[str, tuple[Parser, str]] = {
    name: (parser, about[name]) for name, parser in _PARSERS.items()
}
FORMATS["rejects"] = (rejects.reader(FORMATS), about["rejects"])
#: Signature of each JSON format: names of fields that must all be there.
_JSON = (
    ("rejects", ("reason", "raw", "format", "record")),
    ("listenbrainz", ("track_metadata",)),
    ("koito", ("listened_at", "aliases")),
    ("multi-scrobbler", ("data", "playDate")),
    ("maloja", ("scrobbles", "maloja")),
    ("maloja", ("scrobbles", "time", "track")),
    ("maloja", ("time", "track", "artists", "title")),
    ("youtube-music", ("header", "title", "time")),
    ("spotify", ("ms_played", "ts")),
    ("spotify-account", ("endTime", "msPlayed")),
    ("spotify-account", ("endTime", "podcastName")),
    ("lastfm-json", ("#text", "artist")),
    ("lastfm-json", ("scrobbles", "track")),
    ("lastfm-json", ("recenttracks", "track")),
)
_PLAIN_DATE = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4},? \d{2}:\d{2}")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:")


def recognise(head: bytes, options: Options) -> str | None:
    """Return the format of a file from its first bytes; ``None`` for one we do not know.

    Examples
    --------
    >>> recognise(b'[{"ts": "2024-01-01T00:00:00Z", "ms_played": 1}]', Options())
    'spotify'
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.decode(encoding_of(head), "ignore").lstrip()
    if text[:1] in ("[", "{"):
        return _json(text, options)
    if "\0" in text.partition("\n")[0]:  # no text; a zero byte further on costs one row
        return None
    return _text(text, options)


def _json(text: str, options: Options) -> str | None:
    first, _, _ = text.partition("\n")
    by_lines = text[0] == "{" and first.rstrip().endswith("}")
    # The first record is enough, and names of tracks must not be taken for names of fields.
    names = set(re.findall(r'"([^"\\]{1,80})"\s*:', first if by_lines else text[:16_384]))
    for format_, needed in _JSON:
        if names.issuperset(needed):
            if format_ == "listenbrainz" and (not by_lines or "payload" in names):
                return "listenbrainz-json"
            return format_ if format_ != "rejects" or by_lines else None
    if table.has_columns(names, options):
        return "jsonl" if by_lines and table.has_columns(_fields(first), options) else "json"
    return None


def _fields(line: str) -> list[str]:
    """Return the names of the fields of one object, not of objects inside it."""
    try:
        return list(json.loads(line))
    except (ValueError, RecursionError):
        return []


def _text(text: str, options: Options) -> str | None:
    lines = text.splitlines()[:20]
    if any(line.startswith("#AUDIOSCROBBLER/") for line in lines) or _is_log(lines):
        return "scrobbler-log"
    if any(len(f := line.split("\t")) == 6 and _ISO.match(f[1]) for line in lines):
        return "lastfm-1k"
    head, number = head_of(iter(lines))
    if not head:
        return None
    delimiter = delimiter_of(head)
    try:
        first = "\n".join(lines[number - 1 : number + 4])
        rows = list(csv.reader(io.StringIO(first), delimiter=delimiter))
    except csv.Error:
        return None
    header = [column.strip() for column in rows[0]] if rows else []
    is_header = table.has_columns(header, options)
    if not is_header and any(len(r) == 4 and _PLAIN_DATE.fullmatch(r[3].strip()) for r in rows):
        return "lastfm-plain"
    found = spotify_csv.kind_of(header) or apple_music.kind_of(header)
    if found:
        return found
    if {"uts", "artist", "track"} <= set(header) or (header and header[-1].startswith("Date#")):
        return "lastfm-csv"
    return "csv" if len(header) > 1 and is_header else None


def _is_log(lines: list[str]) -> bool:
    """Whether lines are those of a ``.scrobbler.log`` that lost its head."""
    fields = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return bool(fields) and all(
        len(f) in (7, 8) and f[5] in ("L", "S") and f[6].isdigit() for f in fields[:-1] or fields
    )


def hint_for(head: bytes) -> str:
    """Return what to do with a file that is no export but often taken for one; else nothing."""
    text = "".join(head[:4096].decode(encoding_of(head), "ignore").split())
    if not text:
        return "the file is empty"
    if text in ("[]", "{}", "null"):
        return "JSON without a record"
    if head.startswith(b"PK\x03\x04"):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            return "a spreadsheet: save it as csv and import that"
        return "an archive inside an archive: unpack it and import what is in it"
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"Rar!", b"7z\xbc\xaf")):
        return "a packed file inside an archive: unpack it and import what is in it"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "a spreadsheet of an old kind: save it as csv and import that"
    if head.lstrip()[:200].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page: ask for the export as JSON (Google Takeout: history as JSON)"
    return ""


def known() -> str:
    """Return the formats as lines for a message."""
    return "\n".join(f"  {name:18} {text}" for name, (_, text) in FORMATS.items())
