"""The learner's model, mapped read-only: a play learned there is a play served here."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import numpy as np

from contracts.errors import IncompatibleState
from contracts.features import EMPTY
from online_model import ModelDirectory, NoModel, Recommender

log = logging.getLogger(__name__)


class LiveModel:
    """The current model, or none yet.

    Attributes
    ----------
    reader
        ``None`` until a learner has published a model on this host. Changes over to a new model
        only between requests, so no list mixes two.
    """

    def __init__(self, path: Path) -> None:
        self._directory = ModelDirectory(path)
        self.reader: Recommender | None = None

    @property
    def generation(self) -> int:
        """Generation of the mapped model, 0 without one."""
        return 0 if self.reader is None else self.reader.generation

    @property
    def plays_learned(self) -> int:
        """Plays it has learned, 0 without one."""
        return 0 if self.reader is None else self.reader.plays_learned

    async def refresh(self) -> str:
        """Map a newly published model and return ``"ok"``, or why there is none."""
        try:
            if self.reader is None:
                # In a thread: the first call compiles the kernels or loads them from their cache.
                self.reader = await asyncio.to_thread(self._open_warm)
            else:
                self._directory.refresh(self.reader)
        except NoModel:
            return "no model published yet"
        except (OSError, IncompatibleState) as error:
            return str(error)
        return "ok"

    def _open_warm(self) -> Recommender:
        reader = self._directory.open_reader()
        one = np.ones(1, np.uint64)
        for discover in (False, True):
            reader.recommend(
                one,
                np.ones(1, np.int64),
                np.ones(1, np.uint8),
                now=1,
                k=1,
                discover=discover,
                explain=True,
            )
        reader.recommend((), (), (), now=1, k=1, hidden=one)
        reader.recommend_blobs([EMPTY], now=1, lengths=[1], discover=[False])
        reader.similar(1, 1)
        reader.trending(1, 1)
        return reader
