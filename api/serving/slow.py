"""Lists that take milliseconds (with reasons, or more varied), made one at a time on a thread.

The event loop serves plain lists in a fifth of a millisecond each, so nothing that takes longer may
run on it. One thread in the process, with working memory of its own, makes these lists one after
the other; the numerical part does not hold the interpreter lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from api.errors import unavailable
from api.serving.asked import Asked
from api.serving.drafting import draft_list
from api.serving.known import Known, KnownTracks
from api.serving.lists import (
    ListParts,
    MadeList,
    Moment,
    impression_ids,
    items,
    rank_one,
    sound,
)
from api.serving.tables import OtherTables
from contracts.errors import StoreUnavailable
from contracts.features import window_id
from online_model import Ranking, Recommender

#: Requests that may wait for the thread; the next one is refused (503).
MOST_WAITING = 32
_Made = TypeVar("_Made")


class SlowLists:
    """Makes lists on its thread; use it on one event loop.

    Parameters
    ----------
    batch_views
        Folder of the nightly model's generations.
    """

    def __init__(self, parts: ListParts, batch_views: Path) -> None:
        self._parts = parts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slow-lists")
        self._waiting = 0
        # Used on the thread alone.
        self._tracks = KnownTracks()
        self._reader: Recommender | None = None
        self._tables = OtherTables(batch_views)

    async def list(self, user: str, asked: Asked) -> bytes:
        """Make and log a list; return the body of the answer.

        Raises
        ------
        ApiError
            503: too many such requests wait already.
        """
        parts = self._parts
        (impression_id,) = impression_ids(1)
        blob, missing = await self._blob_of(user)
        live = parts.model.reader
        if live is None:
            return parts.without_model(user, impression_id)
        held, torn = sound(blob)

        def make(reader: Recommender, moment: Moment) -> tuple[Moment, Ranking, list[Known], bytes]:
            ranking = self._rank(reader, asked, held, impression_id, int(moment.now))
            shown = self._tracks.of(reader, ranking.indices)
            return moment, ranking, shown, items(reader, ranking, shown)

        moment, ranking, shown, body = await self.run(live, make)
        degraded = parts.is_degraded(user, missing or torn)
        window = "" if missing else window_id(blob)
        made = MadeList(moment, user, window, asked, impression_id, degraded, ranking, shown, body)
        return parts.finish(made)

    def _rank(
        self, reader: Recommender, asked: Asked, blob: bytes, impression_id: str, now: int
    ) -> Ranking:
        """Return one list, from one ranking or drafted from two; on the thread."""

        def ranked(one: Asked, share: float) -> Ranking:
            by = self._tables.reader(reader, one)
            return rank_one(by, one, blob, impression_id, now, share)

        if asked.against is None:
            return ranked(asked, self._parts.explore_share)
        return draft_list(ranked, asked, asked.against, impression_id)

    async def run(self, live: Recommender, make: Callable[[Recommender, Moment], _Made]) -> _Made:
        """Call a function on the thread, with a reader that is only its own.

        The function also gets the moment: the time of this call, generation and offset of the
        reader. While the call waits for the thread, ``live`` may change over to another model; an
        answer must name the model it was made by.

        Raises
        ------
        ApiError
            503: too many requests wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise unavailable("Too many lists that take long are being made")
        self._waiting += 1
        config, state, now = live.settings, live.state, Moment.of(live).now

        def on_thread() -> _Made:
            if self._reader is None or self._reader.state is not state:
                self._reader = Recommender(config, state)
            return make(self._reader, Moment.of(self._reader)._replace(now=now))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, on_thread)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the thread end; what waits for it is dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _blob_of(self, user: str) -> tuple[bytes | None, bool]:
        """Return what the feature store holds of a listener, and whether it did not answer."""
        try:
            (blob,) = await self._parts.features.get_many([user])
        except StoreUnavailable:
            return None, True
        return blob, False
