"""What tests of sources and catalogue share: these tables emptied, and where names lead to."""

from __future__ import annotations

from typing import Any

import psycopg

from batch.catalogue.pages import refresh
from contracts.ids import normalise
from contracts.recordings import recording_key
from infra.stack.postgres import Postgres


def emptied(postgres: Postgres) -> str:
    """Empty staging and catalogue, pages too; return the address."""
    with psycopg.connect(postgres.address, autocommit=True) as db:
        db.execute(
            "truncate staged_artists, staged_tracks, staged_tags, staged_similar, "
            "rejected_records, staged_through, collection_runs, catalogue_artists, "
            "catalogue_albums, catalogue_tracks, catalogue_links, catalogue_candidates, "
            "catalogue_neighbours, plays"
        )
        db.execute("update catalogue_state set settled = staged")
        refresh(db)
    return postgres.address


def find_artist(connection: psycopg.Connection[Any], name: str) -> str | None:
    """Return the id of the artist a name leads to, merges followed."""
    row = connection.execute(
        "select coalesce(merged_into, artist_id)::text from catalogue_artists where name_key = %s",
        (normalise(name),),
    ).fetchone()
    return None if row is None else str(row[0])


def find_track(connection: psycopg.Connection[Any], artist: str, title: str) -> str | None:
    """Return the id of the track that a scrobbler's names lead to.

    A track is found under its artist and every artist merged with it; by its very names, or as the
    same recording in other words (:mod:`contracts.recordings`), the plainest title first.
    """
    names = connection.execute("select catalogue_spellings(%s)", (normalise(artist),)).fetchall()
    recordings = [recording_key(name, title) for name in {artist, *(name for (name,) in names)}]
    row = connection.execute(
        "select catalogue_track_named(%s, %s, %s)::text",
        (normalise(artist), normalise(title), recordings),
    ).fetchone()
    return row and row[0]
