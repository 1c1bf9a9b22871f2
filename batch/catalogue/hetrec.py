"""HetRec 2011 Last.fm-2k: 17,632 artists, what listeners tagged them, how often they were heard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch.staging.tables import ARTISTS, TAGS, Row, Table
from contracts.errors import ConfigurationError
from contracts.ids import normalise

SOURCE = "hetrec"
#: The set was published in 2011: that is when it was observed.
AT = datetime(2011, 5, 1, tzinfo=UTC)
_FILES = {
    "hetrec_artists.parquet": ("artist_id", "name"),
    "hetrec_tags.parquet": ("tag_id", "tag"),
    "hetrec_user_artists.parquet": ("user_id", "artist_id", "weight"),
    "hetrec_user_taggedartists.parquet": ("user_id", "artist_id", "tag_id"),
}


def read(folder: Path, name: str) -> pa.Table:
    """Read one of the set's files, checked.

    Raises
    ------
    ConfigurationError
        The file is missing or lacks a column.
    """
    try:
        return pq.read_table(folder / name, columns=list(_FILES[name]))
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise ConfigurationError(
            f"{folder / name}: {error}; needed: {', '.join(_FILES)} (HetRec 2011 Last.fm-2k)"
        ) from None


def artists(folder: Path) -> Iterator[Row]:
    """Yield one row an artist, with its listeners and plays inside the set."""
    plays = (
        read(folder, "hetrec_user_artists.parquet")
        .group_by("artist_id")
        .aggregate([("weight", "sum"), ("user_id", "count")])
    )
    heard = {
        artist: (count, listeners)
        for artist, count, listeners in zip(
            plays["artist_id"].to_pylist(),
            plays["weight_sum"].to_pylist(),
            plays["user_id_count"].to_pylist(),
            strict=True,
        )
    }
    table = read(folder, "hetrec_artists.parquet")
    for key, name in zip(table["artist_id"].to_pylist(), table["name"].to_pylist(), strict=True):
        count, listeners = heard.get(key, (None, None))
        yield ARTISTS.row(
            source=SOURCE,
            source_key=str(key),
            name=name,
            playcount=count,
            listeners=listeners,
            observed_at=AT,
        )


def rows(folder: Path) -> Iterator[tuple[Table, Row]]:
    """Yield all rows of the data set: artists, then their tags."""
    yield from ((ARTISTS, row) for row in artists(folder))
    yield from ((TAGS, row) for row in tags(folder))


def tags(folder: Path) -> Iterator[Row]:
    """Yield one row an artist and tag; the weight is the number of listeners who gave it."""
    named = read(folder, "hetrec_tags.parquet")
    names = dict(zip(named["tag_id"].to_pylist(), named["tag"].to_pylist(), strict=True))
    given = read(folder, "hetrec_user_taggedartists.parquet")
    counts: dict[tuple[int, str], int] = {}
    for artist, tag in zip(
        given["artist_id"].to_pylist(), given["tag_id"].to_pylist(), strict=True
    ):
        # Tags that differ only in case or spaces are one tag.
        place = artist, normalise(names[tag])
        counts[place] = counts.get(place, 0) + 1
    for (artist, name), count in counts.items():
        yield TAGS.row(
            source=SOURCE,
            kind="artist",
            source_key=str(artist),
            tag=name,
            weight=count,
            observed_at=AT,
        )
