"""Readers of the live model with another neighbour table: what arms of experiments ask for.

A reader shares all arrays of the live model except the tables that the nightly model and content
fill; it has its own copies of those. A generation's table is mapped again as the model meets more
tracks.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import NamedTuple

from api.serving.asked import LIVE, Asked
from contracts import batch_view
from contracts.errors import IncompatibleState
from online_model import Recommender
from online_model.variants import SAME, other_tables

log = logging.getLogger(__name__)

#: Seconds after which a table is mapped again, or a generation that cannot be read is tried again.
AGAIN_SECONDS = 60.0
#: Readers kept; each has working memory of its own.
MOST = 8


class _Kept(NamedTuple):
    reader: Recommender
    live: Recommender
    tracks: int
    at: float


class OtherTables:
    """Makes and keeps such readers; used on one thread.

    Parameters
    ----------
    folder
        Of the nightly model's generations (:mod:`contracts.batch_view`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[tuple[int, bool], _Kept] = {}
        self._bad: dict[int, tuple[float, IncompatibleState]] = {}

    def reader(self, live: Recommender, asked: Asked) -> Recommender:
        """Return the reader for a list: the live one where nothing else is asked for.

        Raises
        ------
        IncompatibleState
            The generation is not there or cannot be read.
        """
        if not asked.other_tables:
            return live
        key, now = (asked.batch, asked.content), time.monotonic()
        kept = self._kept.get(key)
        if kept is not None and kept.live is live and not _stale(kept, live, now):
            return kept.reader
        batch = SAME if asked.batch == LIVE else self._view(asked.batch, now)
        made = other_tables(live, batch=batch, content=asked.content)
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[key] = _Kept(made, live, live.tracks, now)
        return made

    def _view(self, generation: int, now: float) -> batch_view.BatchView | None:
        if generation == 0:
            return None
        at, known = self._bad.get(generation, (0.0, None))
        if known is not None and now - at < AGAIN_SECONDS:
            raise known
        try:
            return batch_view.read(self._folder, generation)
        except IncompatibleState as error:
            log.warning(
                "an arm of an experiment serves the usual lists, its batch view is unusable: %s",
                error,
            )
            self._bad[generation] = now, error
            raise


def _stale(kept: _Kept, live: Recommender, now: float) -> bool:
    # The live reader follows a new generation of the model in place.
    if kept.reader.generation != live.generation:
        return True
    return live.tracks > kept.tracks and now - kept.at >= AGAIN_SECONDS
