"""Million Song Dataset subset: 10,000 tracks with year, key, tempo and loudness."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch.staging.tables import TRACKS, Row
from contracts.errors import ConfigurationError

SOURCE = "msd"
AT = datetime(2011, 2, 8, tzinfo=UTC)
_COLUMNS = [
    "track_id", "title", "artist_name", "release", "year", "duration", "key", "loudness", "mode",
    "tempo",
]  # fmt: skip


def rows(path: Path) -> Iterator[Row]:
    """Yield one row a track.

    A year or tempo of 0 means unknown. ``danceability`` and ``energy`` are 0 in every row of the
    set: they were never computed, so they are not read.

    Raises
    ------
    ConfigurationError
        The file cannot be read or lacks a column.
    """
    try:
        table = pq.read_table(path, columns=_COLUMNS)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    for track in table.to_pylist():
        yield TRACKS.row(
            source=SOURCE,
            source_key=track["track_id"],
            # The set writes "_" where names had a character its files could not hold.
            artist=track["artist_name"],
            title=track["title"],
            album=track["release"] or None,
            year=track["year"] or None,
            duration_ms=round(1000 * track["duration"]) or None,
            key=track["key"],
            mode=track["mode"],
            loudness=track["loudness"],
            tempo=track["tempo"] or None,
            observed_at=AT,
        )
