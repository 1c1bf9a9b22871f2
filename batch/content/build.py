"""Building the content table from the catalogue, and saying what it covers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import psycopg

from batch.content.neighbours import ContentNeighbours
from batch.content.vectors import Vectors
from contracts.errors import ConfigurationError
from contracts.home import HomePaths
from contracts.ids import artist_key

#: A tag is counted as a genre here when so many artists bear it.
_GENRE_ARTISTS = 50
#: ContentNeighbours an artist's page and stations go to.
_SHOWN = 20

_SOUND = """
    select artist_id::text, avg(danceability), avg(energy), avg(acousticness),
        avg(instrumentalness), avg(valence)
    from catalogue_track_cards where energy is not null group by 1
"""


class Coverage(msgspec.Struct):
    """What the content table covers.

    ``tags`` are the tags of at least 50 artists, by number of artists.
    """

    artists: int
    with_tags: int
    with_neighbours: int
    tags: dict[str, int]
    file: str


def table_path(home: Path) -> Path:
    """Where the artists' content neighbours of a home lie."""
    return HomePaths(home).artist_vectors


def build(connection: psycopg.Connection[Any], home: Path, k: int = 50) -> Coverage:
    """Compute the neighbours of every artist in the catalogue and put the table in place.

    Keys are :func:`contracts.ids.artist_key`. Artists merged by review count as one.

    Raises
    ------
    ConfigurationError
        The catalogue has no tagged artists yet.
    """
    artists = connection.execute(
        "select artist_id::text, name from catalogue_artists where merged_into is null order by 1"
    ).fetchall()
    place = {entity: row for row, (entity, _) in enumerate(artists)}
    # Several sources: their weights are shares already, and trust decides between them.
    rows = connection.execute(
        "select artist_id::text, tag, strength from catalogue_artist_tags order by 1, 2"
    ).fetchall()
    if not rows:
        raise ConfigurationError(
            "the catalogue has no tagged artists: segue collect hetrec --file FOLDER, "
            "or segue collect lastfm, loads some"
        )
    numbers: dict[str, int] = {}
    items = np.array([place[entity] for entity, _, _ in rows])
    tags = np.array([numbers.setdefault(tag, len(numbers)) for _, tag, _ in rows])
    # weigh() takes counts; ten steps of a share keep its order and its logarithm's sense.
    weights = np.array([1 + 9 * float(weight) for *_, weight in rows], np.float32)
    vectors = Vectors.from_tags(items, tags, weights, len(artists))
    tagged = int(vectors.known.sum())
    if (sound := _sound(connection, place)) is not None:
        vectors = vectors.with_sound(sound)
    keys = np.array([artist_key(name) for _, name in artists], np.uint64)
    table = ContentNeighbours.of(vectors, keys, k)
    path = table_path(home)
    table.save(path)
    _show(connection, table, [entity for entity, _ in artists])
    counts = np.bincount(tags)
    often = sorted(
        ((int(counts[n]), tag) for tag, n in numbers.items() if counts[n] >= _GENRE_ARTISTS),
        reverse=True,
    )
    return Coverage(
        artists=len(artists),
        with_tags=tagged,
        with_neighbours=int((table.items[:, 0] >= 0).sum()),
        tags={tag: count for count, tag in often},
        file=str(path.relative_to(home)),
    )


def _sound(
    connection: psycopg.Connection[Any], place: dict[str, int]
) -> npt.NDArray[np.float32] | None:
    """Return how each artist's tracks sound on average, NaN unknown; ``None`` if none is known."""
    rows = connection.execute(_SOUND).fetchall()
    if not rows:
        return None
    sound = np.full((len(place), len(rows[0]) - 1), np.nan, np.float32)
    for artist, *values in rows:
        sound[place[artist]] = [np.nan if value is None else value for value in values]
    return sound


def _show(
    connection: psycopg.Connection[Any], table: ContentNeighbours, artists: list[str]
) -> None:
    """Put the nearest neighbours of each artist where the API reads them."""
    rows, slots = np.nonzero(table.items[:, :_SHOWN] >= 0)
    found = zip(
        rows.tolist(),
        table.items[rows, slots].tolist(),
        table.scores[rows, slots].tolist(),
        strict=True,
    )
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from catalogue_neighbours")
        with cursor.copy("copy catalogue_neighbours (artist_id, other_id, score) from stdin") as to:
            for row, other, score in found:
                to.write_row((artists[row], artists[other], min(1.0, score)))
