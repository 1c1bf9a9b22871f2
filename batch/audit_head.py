"""The head of the audit trail's chain, kept outside the database.

Whoever owns the database can rewrite the whole chain, and no look at the chain alone shows it. The
record of a nightly run notes the newest row; ``segue audit verify`` compares.
"""

from __future__ import annotations

import logging

import psycopg

from contracts.audit import HEAD
from contracts.errors import first_line
from contracts.settings import Settings

log = logging.getLogger(__name__)


def audit_head(settings: Settings) -> str | None:
    """Return ``seq:hash`` of the newest row; ``None`` where there is none or it cannot be read."""
    try:
        with psycopg.connect(settings.postgres_dsn, connect_timeout=5) as connection:
            row = connection.execute(HEAD).fetchone()
    except psycopg.Error as error:
        log.warning("the run record misses the head of the audit trail: %s", first_line(error))
        return None
    return None if row is None else str(row[0])
