"""Where lists are made: the requests that wait are answered together.

One read of the feature store, one call of the ranking kernel, one look at the model's offsets for
all of them. A lone request is answered at once; under load the requests that arrive while the store
is being read form the next batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from api.serving.asked import Asked
from api.serving.known import KnownTracks
from api.serving.lists import (
    ListParts,
    MadeList,
    Moment,
    impression_ids,
    items,
    rank,
    sound,
)
from api.serving.nodes import CONNECTIONS
from contracts.errors import StoreUnavailable
from contracts.features import window_id

log = logging.getLogger(__name__)

#: Requests answered together at most: the event loop does nothing else meanwhile.
MOST = 32
#: Batches in flight: while one waits for the store, another is ranked.
AT_ONCE = CONNECTIONS


class Question(NamedTuple):
    """A request that waits for its list."""

    user: str
    asked: Asked
    answer: Callable[[bytes | Exception], None]


class Desk:
    """Answers questions in batches, on the event loop it is used on."""

    def __init__(self, parts: ListParts) -> None:
        self._parts = parts
        self._tracks = KnownTracks()
        self._waiting: list[Question] = []
        self._working = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, user: str, asked: Asked) -> asyncio.Future[bytes]:
        """Return the body of the answer, once it is made."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def answer(made: bytes | Exception) -> None:
            if future.done():  # its client is gone
                return
            if isinstance(made, Exception):
                future.set_exception(made)
            else:
                future.set_result(made)

        self.put(user, asked, answer)
        return future

    def put(self, user: str, asked: Asked, answer: Callable[[bytes | Exception], None]) -> None:
        """Have a list made and handed to ``answer``, or what went wrong."""
        self._waiting.append(Question(user, asked, answer))
        # Start a worker task when the queue becomes non-empty; later requests join its batch.
        if self._working == 0 or (self._working < AT_ONCE and len(self._waiting) == 1):
            self._working += 1
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._serve(batch)
        finally:
            self._working -= 1

    async def _serve(self, batch: list[Question]) -> None:
        try:
            missing = False
            blobs: list[bytes | None] = [None] * len(batch)
            try:
                blobs = await self._parts.features.get_many([q.user for q in batch])
            except StoreUnavailable:
                missing = True
            bodies = self._bodies(batch, blobs, missing)
        except Exception as error:
            for question in batch:
                _answer(question, error)
            return
        for question, body in zip(batch, bodies, strict=True):
            _answer(question, body)

    def _bodies(
        self, batch: list[Question], blobs: Sequence[bytes | None], missing: bool
    ) -> list[bytes]:
        """Make and log the lists, all in one turn: no list mixes two models."""
        parts = self._parts
        ids = impression_ids(len(batch))
        reader = parts.model.reader
        if reader is None:
            return [
                parts.without_model(q.user, impression_id)
                for q, impression_id in zip(batch, ids, strict=True)
            ]
        moment = Moment.of(reader)
        checked = [sound(blob) for blob in blobs]
        share = parts.explore_share
        rankings = rank(
            reader, [q.asked for q in batch], [b for b, _ in checked], ids, int(moment.now), share
        )
        tracks = self._tracks.of(reader, np.concatenate([r.indices for r in rankings]))
        bodies, at = [], 0
        for question, ranking, (_, torn), blob, impression_id in zip(
            batch, rankings, checked, blobs, ids, strict=True
        ):
            shown = tracks[at : at + len(ranking)]
            at += len(ranking)
            degraded = parts.is_degraded(question.user, missing or torn)
            made = MadeList(
                moment,
                question.user,
                "" if missing else window_id(blob),
                question.asked,
                impression_id,
                degraded,
                ranking,
                shown,
                items(reader, ranking, shown),
            )
            bodies.append(parts.finish(made))
        return bodies


def _answer(question: Question, made: bytes | Exception) -> None:
    """Answer one question; an error here must not keep the others of the batch from theirs."""
    try:
        question.answer(made)
    except Exception:
        log.exception("could not send the response with a list")
