"""The staging tables, as the bulk loader needs to know them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

#: Values of one row in the order of ``Table.columns``; ``None`` for unknown.
Row = tuple[object, ...]


@dataclass(frozen=True)
class Table:
    """One staging table.

    Attributes
    ----------
    key
        Columns of the primary key; they come first in a row.
    values
        The other columns except ``observed_at``, which comes last.
    """

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column, in the order of a row."""
        return (*self.key, *self.values, "observed_at")

    def row(self, **values: object) -> Row:
        """Return a row from named values; what is not named is unknown.

        Examples
        --------
        >>> SIMILAR.row(source="s", source_key="a", other_key="b", score=0.5, observed_at="now")
        ('s', 'a', 'b', 0.5, 'now')
        """
        row: list[object] = [None] * len(self.columns)
        places = self._places
        for column, value in values.items():
            row[places[column]] = value
        return tuple(row)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {column: place for place, column in enumerate(self.columns)}


ARTISTS = Table(
    "staged_artists",
    ("source", "source_key"),
    ("name", "mbid", "spotify_id", "listeners", "playcount"),
)
#: Audio features, in the order of the table.
FEATURES = (
    "danceability",
    "energy",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
    "loudness",
    "tempo",
    "key",
    "mode",
    "time_signature",
)
TRACKS = Table(
    "staged_tracks",
    ("source", "source_key"),
    (
        "artist",
        "title",
        "album",
        "recording_mbid",
        "isrc",
        "spotify_id",
        "duration_ms",
        "year",
        "explicit",
        "popularity",
        "listeners",
        "playcount",
        *FEATURES,
    ),
)
TAGS = Table("staged_tags", ("source", "kind", "source_key", "tag"), ("weight",))
SIMILAR = Table("staged_similar", ("source", "source_key", "other_key"), ("score",))
ALL = (ARTISTS, TRACKS, TAGS, SIMILAR)
