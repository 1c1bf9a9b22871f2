"""What tests of sources and catalogue share: a PostgreSQL without anything in these tables."""

from __future__ import annotations

import psycopg

from batch.catalogue.pages import refresh
from infra.stack.postgres import Postgres


def emptied(postgres: Postgres) -> str:
    """Empty staging and catalogue, pages too; return the address."""
    with psycopg.connect(postgres.address, autocommit=True) as db:
        db.execute(
            "truncate staged_artists, staged_tracks, staged_tags, staged_similar, "
            "rejected_records, staged_through, collection_runs, catalogue_artists, "
            "catalogue_albums, catalogue_tracks, catalogue_links, catalogue_candidates, "
            "catalogue_neighbours"
        )
        db.execute("update catalogue_state set settled = staged")
        refresh(db)
    return postgres.address
