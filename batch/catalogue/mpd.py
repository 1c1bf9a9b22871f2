"""Million Playlist Dataset: tracks of playlists, counted by the playlists that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from batch.staging.tables import ARTISTS, TRACKS, Row, Table
from contracts.errors import ConfigurationError, first_line

SOURCE = "mpd"
AT = datetime(2017, 12, 1, tzinfo=UTC)
_NAME = "mpd.slice.*.json"
_TRACK = (
    "struct(artist_name varchar, artist_uri varchar, track_uri varchar, track_name varchar, "
    "album_name varchar, duration_ms bigint)[]"
)
# A slice is one object of 1,000 playlists, some 35 MB.
_READ = f"""
    create temp table entries as
    select p.pid, unnest(p.tracks, recursive := true)
    from (
        select unnest(playlists) as p
        from read_json(?, columns = {{'playlists': 'struct(pid bigint, tracks {_TRACK})[]'}},
            maximum_object_size = 268435456)
    )
"""  # noqa: S608  nothing of a caller's in it
# What fills one row fills it for all playlists: names of the entry that came first.
_TRACKS = """
    select split_part(track_uri, ':', 3), any_value(artist_name), any_value(track_name),
        any_value(album_name), max(duration_ms), count(distinct pid)
    from entries where track_uri is not null group by 1
"""
_ARTISTS = """
    select split_part(artist_uri, ':', 3), any_value(artist_name), count(distinct pid)
    from entries where artist_uri is not null group by 1
"""


def rows(path: Path) -> Iterator[tuple[Table, Row]]:
    """Yield artists and tracks of one slice or of all slices in a folder.

    ``playcount`` is the number of playlists that hold the thing. Give all slices at once: a later
    run with other slices replaces the counts.

    Raises
    ------
    ConfigurationError
        There is no slice, or one cannot be read.
    """
    files = sorted(map(str, path.glob(_NAME))) if path.is_dir() else [str(path)]
    if not files or not Path(files[0]).is_file():
        raise ConfigurationError(f"{path}: no slices (mpd.slice.0-999.json) there")
    with duckdb.connect() as db:
        db.execute("set preserve_insertion_order = false")
        try:
            db.execute(_READ, [files])
        except duckdb.Error as error:
            raise ConfigurationError(f"{path}: {first_line(error)}") from None
        found = db.execute(_ARTISTS)
        while chunk := found.fetchmany(10_000):
            for key, name, playlists in chunk:
                yield ARTISTS, ARTISTS.row(
                    source=SOURCE, source_key=key, name=name, spotify_id=key,
                    playcount=playlists, observed_at=AT,
                )  # fmt: skip
        found = db.execute(_TRACKS)
        while chunk := found.fetchmany(10_000):
            for key, artist, title, album, duration, playlists in chunk:
                yield TRACKS, TRACKS.row(
                    source=SOURCE, source_key=key, artist=artist, title=title,
                    album=album or None, spotify_id=key, duration_ms=duration or None,
                    playcount=playlists, observed_at=AT,
                )  # fmt: skip
