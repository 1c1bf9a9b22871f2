"""Kaggle "Spotify Tracks Dataset": 114,000 rows with audio features and a genre."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from batch.collectors.plays import Refused
from batch.staging.tables import FEATURES, TAGS, TRACKS, Row, Table
from contracts.errors import ConfigurationError
from contracts.ids import normalise

SOURCE = "kaggle-spotify"
#: Version of the data set that is around.
AT = datetime(2022, 10, 22, tzinfo=UTC)
_NEEDED = {"track_id", "artists", "album_name", "track_name", "duration_ms", "track_genre"}


def rows(path: Path) -> Iterator[tuple[Table, Row] | Refused]:
    """Yield tracks and their genre tags; a track with several genres has a row for each of them.

    The artist is the first of the list, as scrobblers send it. PostgreSQL checks ranges; a line
    with missing or surplus fields is yielded as refused.

    Raises
    ------
    ConfigurationError
        The file cannot be read or is not this data set.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            missing = _NEEDED - set(reader.fieldnames or ())
            if missing:
                raise ConfigurationError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}: "
                    'is it dataset.csv of the "Spotify Tracks Dataset"?'
                )
            for record in reader:
                yield from _rows(record)
    except (OSError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def _rows(record: dict[str, str]) -> Iterator[tuple[Table, Row] | Refused]:
    if None in record or None in record.values():
        yield Refused("columns", "not as many fields as the header", repr(record))
        return
    key = record["track_id"]
    if not key or not record["artists"] or not record["track_name"]:
        yield Refused("no-name", "id, artist and title are needed", repr(record))
        return
    known = {name: record.get(name) or None for name in FEATURES}
    # -1 and 0 mean "not found" in Spotify's analysis.
    if known["key"] == "-1":
        known["key"] = None
    for name in ("tempo", "time_signature"):
        if (known[name] or "0").strip("0.") == "":
            known[name] = None
    yield (
        TRACKS,
        TRACKS.row(
            source=SOURCE,
            source_key=key,
            artist=record["artists"].split(";")[0],
            title=record["track_name"],
            album=record["album_name"] or None,
            spotify_id=key,
            duration_ms=record["duration_ms"] or None,
            explicit=record.get("explicit") or None,
            popularity=record.get("popularity") or None,
            observed_at=AT,
            **known,
        ),
    )
    if genre := normalise(record["track_genre"]):
        yield (
            TAGS,
            TAGS.row(
                source=SOURCE, kind="track", source_key=key, tag=genre, weight=1, observed_at=AT
            ),
        )
