"""The pages' views: what the API reads of the catalogue, brought up to date in one step."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

#: In the order in which one reads the other.
VIEWS = (
    "catalogue_artist_tags",
    "catalogue_track_tags",
    "catalogue_artist_cards",
    "catalogue_track_cards",
)


def refresh(connection: psycopg.Connection[Any]) -> None:
    """Refresh the API's views in one transaction; readers see the old content until it commits.

    Parameters
    ----------
    connection
        In autocommit mode.
    """
    with connection.transaction():
        for view in VIEWS:
            connection.execute(
                sql.SQL("refresh materialized view concurrently {}").format(sql.Identifier(view))
            )
