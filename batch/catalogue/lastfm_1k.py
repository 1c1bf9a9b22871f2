"""Last.fm 1K (Celma): what 992 listeners played until 2009, here as artists and tracks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from batch.collectors.plays import Refused
from batch.staging.tables import ARTISTS, TRACKS, Row, Table
from contracts.errors import ConfigurationError, first_line
from contracts.ids import normalise

SOURCE = "lastfm-1k"
AT = datetime(2009, 6, 19, tzinfo=UTC)
#: Invalid rows that are kept with their reason; further ones are only counted.
_MOST_REFUSED = 10_000
# No header and no quoting: a quotation mark is part of a name. DuckDB does not check a column that
# the query does not read, hence the condition on the time.
_READ = """
    create temp table plays as
    select listener, artist_mbid, trim(artist) as artist, track_mbid, trim(title) as title
    from read_csv(?, delim = '\t', quote = '', escape = '', header = false, store_rejects = true,
        null_padding = false, columns = {'listener': 'varchar', 'played_at': 'timestamp',
        'artist_mbid': 'varchar', 'artist': 'varchar', 'track_mbid': 'varchar',
        'title': 'varchar'})
    where played_at is not null
"""
_BAD = f"""
    select min(error_message), csv_line from reject_errors group by csv_line
    limit {_MOST_REFUSED}
"""  # noqa: S608  a number of ours
# Two spellings of one name are two groups here; their rows have one key and meet in the upsert.
_ARTISTS = """
    select artist, max(artist_mbid), count(*), count(distinct listener) from plays
    where artist <> '' group by artist
"""
_TRACKS = """
    select artist, title, max(track_mbid), count(*), count(distinct listener) from plays
    where artist <> '' and title <> '' group by artist, title
"""


def rows(path: Path) -> Iterator[tuple[Table, Row] | Refused]:
    """Yield artists and tracks with how often and by how many they were heard.

    The plays themselves go in with ``segue replay``. DuckDB adds them up, on disk where memory does
    not hold them.

    Raises
    ------
    ConfigurationError
        The file cannot be read or is another one.
    """
    with duckdb.connect() as db:
        db.execute("set preserve_insertion_order = false")
        try:
            db.execute(_READ, [str(path)])
        except duckdb.Error as error:
            raise ConfigurationError(
                f"{path}: {first_line(error)}; needed: six columns with tabs between and no header"
            ) from None
        for reason, line in db.execute(_BAD).fetchall():
            yield Refused("columns", reason, line or "")
        found = db.execute(_ARTISTS)
        while chunk := found.fetchmany(10_000):
            for artist, mbid, plays, listeners in chunk:
                yield ARTISTS, ARTISTS.row(
                    source=SOURCE, source_key=normalise(artist) or artist, name=artist,
                    mbid=mbid or None, playcount=plays, listeners=listeners, observed_at=AT,
                )  # fmt: skip
        found = db.execute(_TRACKS)
        while chunk := found.fetchmany(10_000):
            for artist, title, mbid, plays, listeners in chunk:
                yield TRACKS, TRACKS.row(
                    source=SOURCE, source_key=f"{normalise(artist)}\x1f{normalise(title)}",
                    artist=artist, title=title, recording_mbid=mbid or None,
                    playcount=plays, listeners=listeners, observed_at=AT,
                )  # fmt: skip
