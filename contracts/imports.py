"""Uploaded histories: the contract between the API and the worker ``importer``.

The API writes the file below :attr:`contracts.home.HomePaths.uploads` and inserts a row. The worker
reads the file, posts its plays through the API and updates the row.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from contracts.ids import user_key

#: Largest file that can be uploaded (bytes). ``segue import`` reads larger ones.
MAX_UPLOAD = 256 << 20
#: Uploads of one listener that may wait or run at the same time.
MOST_WAITING = 3
#: Label of the token with which the worker posts the plays of one upload.
IMPORT_LABEL = "import"

#: Format -> description for people. ``infra.operations.imports.formats`` has a parser for each.
FORMATS: dict[str, str] = {
    "spotify": "Spotify extended streaming history (zip or JSON)",
    "spotify-account": "Spotify account data, StreamingHistory (zip or JSON)",
    "spotify-csv": "Spotify extended history saved as csv",
    "spotify-account-csv": "Spotify account data saved as csv",
    "youtube-music": "YouTube Music, Google Takeout: watch-history.json",
    "apple-music-activity": "Apple Music Play Activity (csv)",
    "apple-music-days": "Apple Music Play History Daily Tracks (csv)",
    "maloja": "Maloja export (JSON)",
    "koito": "Koito export (JSON)",
    "multi-scrobbler": "multi-scrobbler plays (JSON)",
    "scrobbler-log": ".scrobbler.log of Rockbox and others",
    "lastfm-csv": "Last.fm export with a header (csv)",
    "lastfm-plain": "Last.fm export: artist, album, title, date (csv)",
    "lastfm-json": "Last.fm export (JSON)",
    "lastfm-1k": "Last.fm-1K data set (tsv, tar.gz), many listeners",
    "listenbrainz": "ListenBrainz export or dump (zip, JSON lines)",
    "listenbrainz-json": "ListenBrainz listens (JSON array)",
    "csv": "any csv with a header",
    "jsonl": "any JSON lines with artist, title and time",
    "json": "any JSON array of objects with artist, title and time",
    "parquet": "any parquet with artist, title and time",
    "rejects": "what an earlier import refused",
}

#: Inserts an upload and returns its id, or the id of an earlier upload of the same file.
#: Parameters: ``id``, ``user``, ``name``, ``bytes``, ``sha256``, ``private``.
ASK = """
    select ask_import(%(id)s, %(user)s, %(name)s, %(bytes)s, %(sha256)s, %(private)s)
"""

_REJECTS = re.compile(r"[0-9a-f]{16}\.\d{1,6}")


class ImportProgress(msgspec.Struct, kw_only=True):
    """The progress of an import, as the view ``imports_v1`` and the API have it.

    Attributes
    ----------
    bytes, read_bytes
        Size of the file, and bytes read so far.
    state
        ``waiting``, ``running``, ``done`` or ``failed``.
    kept, dropped, rejected
        Plays accepted; records left out on purpose and records refused, by reason.
    problem, reason
        Why it failed, for a person, and a short word for it (``unknown-format``, ``refused``).
    """

    name: str
    bytes: int
    state: str
    read_bytes: int
    kept: int
    dropped: dict[str, int]
    rejected: dict[str, int]
    formats: list[str]
    notes: list[str]
    problem: str
    reason: str


class ImportRow(ImportProgress, kw_only=True):
    """View ``imports_v1``: one upload and how far its import is.

    Attributes
    ----------
    examples
        The first refused records, each ``{record, reason, detail, raw}``.
    rejects
        Folder of the file of refused records (:func:`rejects_file`); empty: none.
    """

    id: UUID
    user_id: str
    examples: list[dict[str, Any]]
    rejects: str
    requested_at: datetime
    finished_at: datetime | None


def folder_of(uploads: Path, user: str) -> Path:
    """Return the folder of one listener's uploads; its name is a hash of the user id."""
    return uploads / f"{user_key(user):016x}"


def rejects_file(imports: Path, folder: str) -> Path | None:
    """Return the file of refused records of an import; ``None`` for an invalid folder name."""
    return imports / folder / "rejects.jsonl" if _REJECTS.fullmatch(folder) else None
