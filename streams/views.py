"""Brings the views that others publish into the model: the nightly batch view, and content.

Both are folders of generations (:mod:`contracts.batch_view`). A generation is read in a thread and
goes into the arrays between two batches; the arrays keep its number, so snapshots do too. With the
lake in object storage another thread fetches the folders from there (:mod:`contracts.publication`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from contracts import batch_view
from contracts.batch_view import BatchView
from contracts.errors import IncompatibleState, SegueError
from contracts.publication import BATCH_VIEW, CONTENT_VIEW, Publication
from contracts.settings import Settings
from online_model import Recommender

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
#: Shortest time between two fetches from object storage.
FETCH_SECONDS = 10.0
#: A view may speak of tracks the model meets only later: it is mapped again after so long.
AGAIN_SECONDS = 60.0


class Views:
    """Watches ``<home>/batch_view`` and ``<home>/content_view``.

    A generation that cannot be read is logged; the one before stays in force.
    """

    def __init__(self, settings: Settings) -> None:
        paths = settings.paths
        self._folders = {"batch": paths.batch_view, "content": paths.content_view}
        self._publication = Publication(settings) if settings.lake else None
        self._fetching: asyncio.Future[None] | None = None
        self._fetched = -FETCH_SECONDS
        self._looked = -LOOK_SECONDS
        self._mapped: dict[str, tuple[int, int, float]] = {}
        self._bad: dict[str, int] = {}

    async def look(self, model: Recommender) -> dict[str, int]:
        """Load what has changed; return ``view -> generation`` of what was loaded."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return {}
        self._looked = now
        self._fetch(now)
        loaded = {}
        for name, folder in self._folders.items():
            generation = _current(folder)
            if generation is None or generation == self._bad.get(name):
                continue
            if not self._due(name, generation, model, now):
                continue
            try:
                view = await asyncio.to_thread(batch_view.read, folder, generation)
            except IncompatibleState as error:
                log.warning("%s view not loaded; the model keeps the one it has: %s", name, error)
                self._bad[name] = generation
                continue
            rows = _into(model, name)(view)
            # After the table: the content view itself makes tracks known.
            self._mapped[name] = generation, model.tracks, now
            log.info("%s view %d: neighbours of %d tracks", name, generation, rows)
            loaded[name] = generation
        return loaded

    def _fetch(self, now: float) -> None:
        """Begin to fetch what was published; learning does not wait for it."""
        if self._publication is None or now - self._fetched < FETCH_SECONDS:
            return
        if self._fetching is None or self._fetching.done():
            self._fetched = now
            self._fetching = asyncio.ensure_future(asyncio.to_thread(_pull, self._publication))

    def _due(self, name: str, generation: int, model: Recommender, now: float) -> bool:
        if model.views[name] != generation or name not in self._mapped:
            return True
        mapped, tracks, at = self._mapped[name]
        return mapped != generation or (model.tracks > tracks and now - at >= AGAIN_SECONDS)


def _pull(publication: Publication) -> None:
    try:
        publication.pull(BATCH_VIEW, CONTENT_VIEW)
    except (SegueError, OSError) as error:
        log.warning("batch views not fetched, the next try follows: %s", error)


def _current(folder: Path) -> int | None:
    try:
        return batch_view.current(folder)
    except (OSError, ValueError) as error:  # a file of another program, or a disk that fails
        log.warning("the current generation of %s cannot be read: %s", folder.name, error)
        return None


def _into(model: Recommender, name: str) -> Callable[[BatchView], int]:
    return model.set_batch_table if name == "batch" else model.set_content_table
