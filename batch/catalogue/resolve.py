"""Resolution: staged rows become entities, each with one id across all sources."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from contracts.ids import artist_id, normalise, track_id
from contracts.recordings import recording_key
from contracts.search import search_text

_CHUNK = 20_000


class Resolved(msgspec.Struct):
    """Rows linked and entities made by one run."""

    linked: int = 0
    artists: int = 0
    albums: int = 0
    tracks: int = 0


def resolve(connection: psycopg.Connection[Any]) -> Resolved:
    """Link every staged row that has no entity yet. Runs again are harmless and cheap.

    Parameters
    ----------
    connection
        In autocommit mode; each chunk is one transaction.
    """
    done = Resolved()
    _name_recordings(connection)
    for chunk in _unlinked(connection, "artist", "staged_artists", "name"):
        names = {artist_id(name): name for *_, name in chunk}
        with connection.transaction():
            done.artists += _artists(connection, names)
            links = [("artist", s, key, artist_id(name)) for s, key, name in chunk]
            done.linked += _link(connection, links)
    for chunk in _unlinked(connection, "track", "staged_tracks", "artist", "title", "album"):
        with connection.transaction():
            done.artists += _artists(connection, {artist_id(row[2]): row[2] for row in chunk})
            albums = {
                _album_id(artist, album): (artist, album) for *_, artist, _, album in chunk if album
            }
            done.albums += _copy(
                connection,
                "catalogue_albums",
                ("album_id", "artist_id", "title", "title_key"),
                [(i, artist_id(a), t, normalise(t)) for i, (a, t) in albums.items()],
            )
            tracks = {
                track_id(artist, title): (
                    artist_id(artist),
                    _album_id(artist, album) if album else None,
                    title,
                    normalise(title),
                    search_text(artist, title),
                    recording_key(artist, title),
                )
                for *_, artist, title, album in chunk
            }
            done.tracks += _copy(
                connection,
                "catalogue_tracks",
                (
                    "track_id", "artist_id", "album_id", "title", "title_key", "search_text",
                    "recording_key",
                ),
                [(i, *values) for i, values in tracks.items()],
            )  # fmt: skip
            links = [("track", s, key, track_id(a, title)) for s, key, a, title, _ in chunk]
            done.linked += _link(connection, links)
    return done


def _name_recordings(connection: psycopg.Connection[Any]) -> None:
    """Give tracks their recording key that were resolved before there was one."""
    query = (
        "select t.track_id, a.name, t.title from catalogue_tracks t"
        " join catalogue_artists a using (artist_id) where t.recording_key is null limit %s"
    )
    while chunk := connection.execute(query, (_CHUNK,)).fetchall():
        with connection.cursor() as cursor:
            cursor.executemany(
                "update catalogue_tracks set recording_key = %s where track_id = %s",
                [(recording_key(artist, title), track) for track, artist, title in chunk],
            )


def _album_id(artist: str, album: str) -> str:
    return str(uuid.uuid5(uuid.UUID(artist_id(artist)), normalise(album)))


def _unlinked(
    connection: psycopg.Connection[Any], kind: str, table: str, *columns: str
) -> Iterator[list[tuple[Any, ...]]]:
    query = sql.SQL(
        "select source, source_key, {columns} from {table} s where not exists ("
        "select 1 from catalogue_links l where l.kind = {kind} and l.source = s.source"
        " and l.source_key = s.source_key) limit {limit}"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        table=sql.Identifier(table),
        kind=sql.Literal(kind),
        limit=sql.Literal(_CHUNK),
    )
    while chunk := connection.execute(query).fetchall():
        yield chunk


def _artists(connection: psycopg.Connection[Any], names: dict[str, str]) -> int:
    rows = [(key, name, normalise(name), search_text(name)) for key, name in names.items()]
    columns = ("artist_id", "name", "name_key", "search_text")
    return _copy(connection, "catalogue_artists", columns, rows)


def _link(connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> int:
    return _copy(connection, "catalogue_links", ("kind", "source", "source_key", "entity_id"), rows)


def _copy(
    connection: psycopg.Connection[Any], table: str, columns: tuple[str, ...],
    rows: list[tuple[Any, ...]],
) -> int:  # fmt: skip
    """Insert rows that are not there yet; return how many were new."""
    incoming, target = sql.Identifier(f"new_{table}"), sql.Identifier(table)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(
        sql.SQL("create temp table if not exists {} (like {})").format(incoming, target)
    )
    connection.execute(sql.SQL("truncate {}").format(incoming))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy {} ({}) from stdin").format(incoming, names)) as copy,
    ):
        for row in rows:
            copy.write_row(row)
    return connection.execute(
        sql.SQL("insert into {} ({}) select {} from {} on conflict do nothing").format(
            target, names, names, incoming
        )
    ).rowcount
