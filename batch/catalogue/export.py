"""The catalogue as lake tables: how it reaches RAW and the dimensions of the warehouse."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from batch.catalogue.report import GENRES
from contracts.lake import CATALOGUE, PARTITION_BY
from contracts.lake_tables import TablePlace, lake_table
from contracts.settings import Settings

#: Tags kept of an artist.
_TAGS = 10
_DIGEST = "segue_digest"

# A name's genre is the strongest of its artist's tags that is one; of a track, its own first.
_ARTISTS = f"""
    with ranked as (
        select artist_id, tag, weight,
            row_number() over (partition by artist_id order by weight desc, tag) as place
        from catalogue_artist_tags
    ), best as (
        select artist_id,
            jsonb_agg(jsonb_build_array(tag, round(weight::numeric, 4)) order by place)
                filter (where place <= {_TAGS}) as tags,
            (array_agg(tag order by place) filter (where tag = any(%(genres)s)))[1] as genre
        from ranked group by 1
    ), spoken as (
        select artist_id, string_agg(source, ',' order by source) as sources
        from (
            select entity_id as artist_id, source from catalogue_links where kind = 'artist'
            union
            select t.artist_id, l.source
            from catalogue_links l
            join catalogue_tracks t on t.track_id = l.entity_id
            where l.kind = 'track'
        ) s group by 1
    )
    select a.name, c.artist_id::text, t.genre, coalesce(t.tags, '[]')::text, c.popularity,
        coalesce(s.sources, '')
    from catalogue_artists a
    join catalogue_artist_cards c on c.artist_id = coalesce(a.merged_into, a.artist_id)
    left join best t on t.artist_id = c.artist_id
    left join spoken s on s.artist_id = a.artist_id
    order by a.name_key
"""  # noqa: S608  a number of ours
_TRACKS = """
    with own as (
        select distinct on (track_id) track_id, tag from catalogue_track_tags
        where tag = any(%(genres)s) order by track_id, weight desc, tag
    ), artists as (
        select distinct on (artist_id) artist_id, tag from catalogue_artist_tags
        where tag = any(%(genres)s) order by artist_id, weight desc, tag
    )
    select c.track_id::text, a.name, c.title, c.album, coalesce(o.tag, g.tag), c.year,
        c.duration_ms, c.recording_mbid::text, c.isrc, c.spotify_id, c.popularity,
        c.danceability, c.energy, c.acousticness, c.instrumentalness, c.valence
    from catalogue_track_cards c
    join catalogue_tracks t using (track_id)
    join catalogue_artists a on a.artist_id = t.artist_id
    left join own o using (track_id)
    left join artists g on g.artist_id = c.artist_id
    order by c.track_id
"""
_QUERIES = {"catalogue_artists": _ARTISTS, "catalogue_tracks": _TRACKS}


def export(connection: psycopg.Connection[Any], settings: Settings) -> dict[str, int]:
    """Replace the lake's catalogue tables where the catalogue has changed; return rows by table.

    A table equal to its newest version is left alone, so nights without changes make
    no versions. An empty catalogue writes nothing.

    Raises
    ------
    StoreUnavailable
        A table cannot be written.
    """
    written = {}
    for name, query in _QUERIES.items():
        rows = connection.execute(query.encode(), {"genres": sorted(GENRES)}).fetchall()
        if rows:
            written[name] = len(rows)
            _replace(lake_table(settings, name), rows)
    return written


def _replace(place: TablePlace, rows: list[tuple[Any, ...]]) -> None:
    digest = hashlib.blake2b(msgspec.json.encode(rows), digest_size=16).hexdigest()
    now = datetime.now(UTC)
    fields = CATALOGUE[place.name]
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns += [[now] * len(rows), [now.date()] * len(rows)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    before = place.open()
    if before is not None and _held(before) == digest:
        return
    try:
        write_deltalake(
            place.uri,
            pa.Table.from_arrays(arrays, schema=fields),
            mode="overwrite",
            partition_by=PARTITION_BY,
            commit_properties=CommitProperties(custom_metadata={_DIGEST: digest}),
            storage_options=place.options or None,
        )
    except (DeltaError, OSError) as error:
        raise place.trouble(error) from None


def _held(table: DeltaTable) -> str | None:
    """Return the digest of the newest commit that wrote rows (compaction writes none)."""
    return next((str(c[_DIGEST]) for c in table.history() if _DIGEST in c), None)
