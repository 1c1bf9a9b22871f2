"""The invented catalogue as a source of its own, for a home that has no other."""

from __future__ import annotations

import logging
import time

import psycopg

from batch.catalogue.resettle import settle
from batch.collectors.credentials import find
from batch.collectors.lastfm.source import KEY
from batch.staging.load import Loader
from batch.staging.tables import ALL, Row
from contracts.errors import SegueError
from contracts.settings import Settings
from infra.simulator.catalogue import Catalogue
from infra.simulator.facts import SOURCE, facts

log = logging.getLogger("segue.simulator")

_OTHERS = "select exists (select from staged_artists where source <> %s)"
_STAGED = "select count(*) from staged_tracks where source = %s"


def load_catalogue(settings: Settings, catalogue: Catalogue, seed: int) -> bool:
    """Stage the invented catalogue, resolve it and build pages and vectors; once a home.

    Returns
    -------
    bool
        ``False``: there is a real source (rows of one, or a Last.fm key), or it is there already.
    """
    with psycopg.connect(settings.postgres_dsn, autocommit=True, connect_timeout=10) as connection:
        others = connection.execute(_OTHERS, (SOURCE,)).fetchone()
        staged = connection.execute(_STAGED, (SOURCE,)).fetchone()
        if (others and others[0]) or find(KEY, settings.home) is not None:
            return False
        changed = not staged or staged[0] < len(catalogue.tracks)
        if changed:
            rows: dict[str, list[Row]] = {table.name: [] for table in ALL}
            for table, row in facts(catalogue, seed):
                rows[table.name].append(row)
            for table in ALL:
                Loader(connection, table).load(rows[table.name])
        done = settle(connection, settings)
        return changed or done.resolved.linked > 0


def load_in_background(settings: Settings, catalogue: Catalogue, seed: int) -> None:
    """Load the catalogue (see above) and say how it went; an error is logged, nothing ends."""
    started = time.monotonic()
    try:
        if load_catalogue(settings, catalogue, seed):
            log.info("catalogue of invented names in %.1f s", time.monotonic() - started)
    except (psycopg.Error, SegueError, OSError) as error:
        log.warning("the catalogue is not loaded; the next start retries: %s", error)
