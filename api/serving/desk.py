"""Where lists are made: the requests that wait are answered together.

One read of the feature store, one call of the ranking kernel, one look at the model's offsets for
all of them. A lone request waits for nobody; under load the requests that arrive while the store
is being read form the next batch.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from api.producer import Record
from api.serving.asked import Asked
from api.serving.explain import reasons_of
from api.serving.features import CONNECTIONS
from api.serving.known import Known, KnownTracks
from contracts.errors import IncompatibleState, StoreUnavailable
from contracts.features import EMPTY, Listener, check
from contracts.ids import partition_of
from contracts.impressions import Impression, encode, pack
from online_model import Ranking, Recommender
from online_model.exploration import IN_LINE, explore

if TYPE_CHECKING:
    from api.services import Services

log = logging.getLogger(__name__)

#: Requests answered together at most: the event loop does nothing else meanwhile.
MOST = 32
#: Batches under way: while one waits for the store another is ranked.
AT_ONCE = CONNECTIONS
_ENCODER = msgspec.json.Encoder()
_CERTAIN = np.ones(1024, np.float32)


class Question(NamedTuple):
    """A request that waits for its list."""

    user: str
    asked: Asked
    answer: Callable[[bytes | Exception], None]


class Moment(NamedTuple):
    """What the lists of one batch share."""

    now: float
    generation: int
    offset: int


class Desk:
    """Answers questions in batches, on the event loop it is used on."""

    def __init__(self, services: Services) -> None:
        self._services = services
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
        # The first in line calls for somebody; those behind are taken along.
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
                blobs = await self._services.features.get_many([q.user for q in batch])
            except StoreUnavailable:
                missing = True
            bodies = self._bodies(batch, blobs, missing)
        except Exception as error:
            for question in batch:
                _tell(question, error)
            return
        for question, body in zip(batch, bodies, strict=True):
            _tell(question, body)

    def _bodies(
        self, batch: list[Question], blobs: Sequence[bytes | None], missing: bool
    ) -> list[bytes]:
        """Make and log the lists, all in one turn: no list mixes two models."""
        services = self._services
        ids = impression_ids(len(batch))
        reader = services.model.reader
        if reader is None:
            for _ in batch:
                services.metrics.degraded("model")
            nothing = Moment(0.0, 0, 0)
            return [
                _body(nothing, q.user, True, True, impression_id, b"")
                for q, impression_id in zip(batch, ids, strict=True)
            ]
        moment = Moment(time.time(), reader.generation, sum(reader.offsets.values()))
        sound = [_sound(blob) for blob in blobs]
        share = services.settings.explore_share
        rankings = rank(
            reader, [q.asked for q in batch], [b for b, _ in sound], ids, int(moment.now), share
        )
        tracks = self._tracks.of(reader, np.concatenate([r.indices for r in rankings]))
        bodies, at = [], 0
        for question, ranking, (_, torn), impression_id in zip(
            batch, rankings, sound, ids, strict=True
        ):
            shown = tracks[at : at + len(ranking)]
            at += len(ranking)
            degraded = missing or torn or ranking.degraded
            if degraded:
                services.metrics.degraded("features" if missing or torn else "state")
            self._log(moment, question, ranking, shown, impression_id, degraded)
            items = _items(reader, ranking, shown)
            bodies.append(
                _body(moment, question.user, degraded, ranking.stranger, impression_id, items)
            )
        return bodies

    def _log(
        self,
        moment: Moment,
        question: Question,
        ranking: Ranking,
        shown: list[Known],
        impression_id: str,
        degraded: bool,
    ) -> None:
        services, user = self._services, question.user
        numbers = pack(ranking.scores, ranking.propensities, ranking.features)
        named = [bool(track.opening) for track in shown]
        if not all(named):
            rows = np.frombuffer(numbers, np.uint8).reshape(len(shown), -1)
            numbers = rows[np.array(named)].tobytes()
        impression = Impression(
            impression_id=impression_id,
            user_id=user,
            at=int(moment.now * 1000),
            generation=moment.generation,
            offset=moment.offset,
            tracks=[track.track_id for track in shown if track.opening],
            numbers=numbers,
            mode="discover" if question.asked.discover else "next",
            degraded=degraded,
        )
        services.impressions.offer(
            Record(
                services.topics.impressions,
                user.encode(),
                encode(impression),
                partition_of(user, services.settings.partitions),
            )
        )


def _tell(question: Question, made: bytes | Exception) -> None:
    """Answer one; whatever becomes of that, the others of the batch get theirs."""
    try:
        question.answer(made)
    except Exception:
        log.exception("an answer for a list was not sent")


def impression_ids(count: int) -> list[str]:
    """Return random UUIDs (version 4)."""
    code = os.urandom(16 * count).hex()
    return [
        f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"
        for h in (code[at : at + 32] for at in range(0, 32 * count, 32))
    ]


def rank(
    reader: Recommender,
    asked: Sequence[Asked],
    blobs: Sequence[bytes],
    impression_ids: Sequence[str],
    now: int,
    share: float,
) -> list[Ranking]:
    """Return the lists, in the order asked.

    Parameters
    ----------
    share
        Probability with which a place explores. The id of the impression is the seed of its draws:
        a list can be made again.
    """
    found: list[Ranking | None] = [None] * len(asked)
    plain = [i for i, a in enumerate(asked) if not a.explain and a.diversity == 0.0]
    more = IN_LINE if share > 0.0 else 0
    lists = reader.recommend_blobs(
        [blobs[i] for i in plain],
        now=now,
        lengths=[asked[i].limit + more for i in plain],
        discover=[asked[i].discover for i in plain],
    )
    counts, known = lists.counts.tolist(), lists.known.tolist()
    for row, i in enumerate(plain):
        at: slice | np.ndarray = slice(0, counts[row])
        chances = _CERTAIN[: counts[row]]
        if share > 0.0:
            at, chances = explore(counts[row], asked[i].limit, share, _seed(impression_ids[i]))
        found[i] = Ranking(
            indices=lists.indices[row][at],
            scores=lists.scores[row][at],
            features=lists.features[row][at],
            propensities=chances,
            stranger=known[row] == 0,
        )
    for i, a in enumerate(asked):
        if found[i] is None:
            listener = Listener.unpack(blobs[i])
            found[i] = reader.recommend(
                listener.tracks,
                listener.seconds,
                listener.ratios,
                now=now,
                k=a.limit,
                discover=a.discover,
                hidden=listener.hidden,
                diversity=a.diversity,
                explain=a.explain,
                explore=share,
                draw=_seed(impression_ids[i]),
            )
    return [ranking for ranking in found if ranking is not None]


def _seed(impression_id: str) -> int:
    return int(impression_id.replace("-", "")[:16], 16)


def _sound(blob: bytes | None) -> tuple[bytes, bool]:
    """Return a blob that can be read, and whether it stands in for one that cannot."""
    if blob is None:
        return EMPTY, False
    try:
        check(blob)
    except IncompatibleState:
        return EMPTY, True
    return blob, False


def _items(reader: Recommender, ranking: Ranking, shown: list[Known]) -> bytes:
    scores = ranking.scores.tolist()
    if not ranking.reasons:
        return b",".join(
            [b"%b%.6g}" % (t.opening, s) for t, s in zip(shown, scores, strict=True) if t.opening]
        )
    return b",".join(
        b'%b%.6g,"reasons":%b}' % (track.opening, score, _ENCODER.encode(reasons))
        for track, score, reasons in zip(shown, scores, reasons_of(reader, ranking), strict=True)
        if track.opening
    )


def _body(
    moment: Moment, user: str, degraded: bool, stranger: bool, impression_id: str, items: bytes
) -> bytes:
    return (
        b'{"user":%b,"generation":%d,"offset":%d,"degraded":%b,"stranger":%b,'
        b'"impression_id":"%b","recommendations":[%b]}'
    ) % (
        _ENCODER.encode(user),
        moment.generation,
        moment.offset,
        b"true" if degraded else b"false",
        b"true" if stranger else b"false",
        impression_id.encode(),
        items,
    )
