"""After staging: rows become entities, entities pages, pages vectors and the content view;
and the lake hears of it. What is left to do is written in the database: no kill loses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg

from batch.catalogue.export import export
from batch.catalogue.pages import refresh
from batch.catalogue.resolve import Resolved, resolve
from batch.catalogue.review import Review, propose
from batch.content.build import Coverage, build
from batch.content.view import Published, publish
from contracts.publication import CONTENT, CONTENT_VIEW, Publication
from contracts.settings import Settings


class Settled(msgspec.Struct):
    """What became of the staged rows; ``None`` where there was nothing new to do."""

    resolved: Resolved
    review: Review | None = None
    coverage: Coverage | None = None
    view: Published | None = None


@contextmanager
def alone(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Hold the right to settle and publish; others wait for it, and a kill gives it back.

    Two collections that end together, or one beside a night, would write the same files.
    """
    key = "hashtext(current_schema() || '.catalogue')"
    connection.execute(f"select pg_advisory_lock({key})")
    try:
        yield
    finally:
        connection.execute(f"select pg_advisory_unlock({key})")


def settle(
    connection: psycopg.Connection[Any],
    settings: Settings,
    *,
    progress: Callable[[str], None] = lambda what: None,
) -> Settled:
    """Bring the catalogue, its pages, the content table and the lake up to what is staged.

    Parameters
    ----------
    connection
        In autocommit mode.
    progress
        Called with a description of each step.
    """
    with alone(connection):
        return _settle(connection, settings, progress)


def _settle(
    connection: psycopg.Connection[Any], settings: Settings, progress: Callable[[str], None]
) -> Settled:
    row = connection.execute("select staged, settled from catalogue_state").fetchone()
    staged, settled = row or (1, 0)
    progress("resolving")
    done = Settled(resolve(connection))
    if done.resolved.linked or staged > settled:
        done.review = propose(connection)
        progress("pages")
        refresh(connection)
        tagged = connection.execute("select exists (select from catalogue_artist_tags)").fetchone()
        if tagged and tagged[0]:
            progress("content vectors")
            with Publication(settings).changing(CONTENT, CONTENT_VIEW):
                done.coverage = build(connection, settings.home)
                done.view = publish(connection, settings.home)
        progress("lake")
        export(connection, settings)
        # Rows that a collector staged during this run have a higher number; the next run settles
        # them.
        connection.execute("update catalogue_state set settled = greatest(settled, %s)", (staged,))
    return done
