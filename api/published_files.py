"""Keeps reports, figures and nightly models of this host up to date with object storage.

Handlers read them from the home, so an answer never waits for object storage. While it is away,
what was fetched last is served.
"""

from __future__ import annotations

import asyncio
import logging

from api.background import end
from contracts.errors import SegueError
from contracts.publication import Publication
from contracts.settings import Settings

log = logging.getLogger(__name__)
EVERY_SECONDS = 10.0


class PublishedFiles:
    """Fetches what was published every few seconds; does nothing with the lake in the home."""

    def __init__(self, settings: Settings) -> None:
        self._publication = Publication(settings) if settings.lake else None
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""

    def start(self) -> None:
        """Begin to follow."""
        if self._publication is not None:
            self._task = asyncio.ensure_future(self._follow(self._publication))

    async def stop(self) -> None:
        """Stop following; a fetch that runs ends by itself."""
        if self._task is not None:
            await end([self._task])

    async def _follow(self, publication: Publication) -> None:
        while True:
            trouble = await asyncio.to_thread(_pull, publication)
            if trouble and trouble != self._trouble:
                log.warning("published files cannot be fetched; retrying: %s", trouble)
            self._trouble = trouble
            await asyncio.sleep(EVERY_SECONDS)


def _pull(publication: Publication) -> str:
    try:
        publication.pull()
    except (SegueError, OSError) as error:
        return str(error)
    except Exception as error:  # an index that cannot be read must not end all later fetches
        return type(error).__name__
    return ""
