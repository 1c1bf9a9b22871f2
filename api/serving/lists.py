"""One list, from the ranking kernel to the bytes of the answer and the impression in the log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from api.serving.asked import Asked
from api.serving.explain import reasons_of
from api.serving.known import Known
from contracts.errors import IncompatibleState
from contracts.features import EMPTY, Listener, check
from contracts.impressions import Impression, pack
from contracts.labels import NO_ARM
from online_model import Ranking, Recommender
from online_model.exploration import IN_LINE, explore, explored, seed_of

_ENCODER = msgspec.json.Encoder()
_CERTAIN = np.ones(1024, np.float32)


class Moment(NamedTuple):
    """What lists made at the same time share."""

    now: float
    generation: int
    offset: int

    @classmethod
    def of(cls, reader: Recommender) -> Moment:
        """Return this moment, with how far the model has learned."""
        return cls(time.time(), reader.generation, reader.total_offset)


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
        Probability with which a place explores, unless an experiment overrides it. The id of the
        impression is the seed of its draws: a list can be made again.
    """
    found: list[Ranking | None] = [None] * len(asked)
    plain = [i for i, a in enumerate(asked) if not (a.costly or a.popular)]
    shares = [share if a.explore is None else a.explore for a in asked]
    lists = reader.recommend_blobs(
        [blobs[i] for i in plain],
        now=now,
        lengths=[asked[i].limit + (IN_LINE if shares[i] > 0.0 else 0) for i in plain],
        discover=[asked[i].discover for i in plain],
    )
    counts, known = lists.counts.tolist(), lists.known.tolist()
    for row, i in enumerate(plain):
        at: slice | np.ndarray = slice(0, counts[row])
        chances, drawn = _CERTAIN[: counts[row]], None
        if shares[i] > 0.0:
            at, chances = explore(
                counts[row], asked[i].limit, shares[i], seed_of(impression_ids[i])
            )
            drawn = explored(at)
        found[i] = Ranking(
            indices=lists.indices[row][at],
            scores=lists.scores[row][at],
            features=lists.features[row][at],
            propensities=chances,
            stranger=known[row] == 0,
            explored=drawn,
        )
    return [
        rank_one(reader, a, blob, impression_id, now, share) if made is None else made
        for made, a, blob, impression_id in zip(found, asked, blobs, impression_ids, strict=True)
    ]


def rank_one(
    reader: Recommender, asked: Asked, blob: bytes, impression_id: str, now: int, share: float
) -> Ranking:
    """Return one list, with diversity and reasons if asked for; parameters as in :func:`rank`."""
    listener = Listener.unpack(blob)
    plays = slice(0, 0) if asked.popular else slice(None)
    return reader.recommend(
        listener.tracks[plays],
        listener.seconds[plays],
        listener.ratios[plays],
        now=now,
        k=asked.limit,
        discover=asked.discover,
        hidden=listener.hidden,
        artist_cap=asked.artist_cap or None,
        diversity=asked.diversity,
        explain=asked.explain,
        explore=share if asked.explore is None else asked.explore,
        draw=seed_of(impression_id),
    )


def sound(blob: bytes | None) -> tuple[bytes, bool]:
    """Return a blob that can be read, and whether it replaces one that cannot."""
    if blob is None:
        return EMPTY, False
    try:
        check(blob)
    except IncompatibleState:
        return EMPTY, True
    return blob, False


def items(reader: Recommender, ranking: Ranking, shown: list[Known]) -> bytes:
    """Return the tracks of an answer as JSON, without the brackets of the list."""
    scores = ranking.scores.tolist()
    if not ranking.reasons and ranking.explored is None:
        return b",".join(
            [b"%b%.6g}" % (t.opening, s) for t, s in zip(shown, scores, strict=True) if t.opening]
        )
    return b",".join(
        b"%b%.6g%b}" % (track.opening, score, more)
        for track, score, more in zip(shown, scores, _more(reader, ranking), strict=True)
        if track.opening
    )


def _more(reader: Recommender, ranking: Ranking) -> list[bytes]:
    """Return what follows the score of each track: its propensity if it was drawn, its reasons."""
    found = [b""] * len(ranking)
    if ranking.explored is not None:
        for place in ranking.explored.nonzero()[0].tolist():
            found[place] = b',"propensity":%.6g' % ranking.propensities[place]
    if ranking.reasons:
        for place, reasons in enumerate(reasons_of(reader, ranking)):
            found[place] += b',"reasons":%b' % _ENCODER.encode(reasons)
    return found


def body_of(
    moment: Moment,
    user: str,
    window: str,
    degraded: bool,
    stranger: bool,
    impression_id: str,
    items: bytes,
) -> bytes:
    """Return the body of an answer (:class:`api.serving.asked.Recommendations`)."""
    return (
        b'{"user":%b,"generation":%d,"offset":%d,"window":"%b","degraded":%b,"stranger":%b,'
        b'"impression_id":"%b","recommendations":[%b]}'
    ) % (
        _ENCODER.encode(user),
        moment.generation,
        moment.offset,
        window.encode(),
        b"true" if degraded else b"false",
        b"true" if stranger else b"false",
        impression_id.encode(),
        items,
    )


class MadeList(NamedTuple):
    """A list with all that is answered and logged of it; ``items`` from :func:`items`.

    ``window`` is the state of the listener's window that it was made from.
    """

    moment: Moment
    user: str
    window: str
    asked: Asked
    impression_id: str
    degraded: bool
    ranking: Ranking
    shown: list[Known]
    items: bytes


class Features(Protocol):
    """Where the listeners' packed features are read."""

    async def get_many(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """Return a blob for each listener; raises StoreUnavailable."""
        ...


class Model(Protocol):
    """Where the model is."""

    @property
    def reader(self) -> Recommender | None:
        """The mapped model; ``None`` before there is one."""
        ...


class Impressions(Protocol):
    """Where it is logged which lists were shown."""

    def add(self, impression: Impression) -> None:
        """Log one list."""
        ...


CountArm = Callable[[str, float, bool], None]


def _nobody(labels: str, seconds: float, degraded: bool) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class ListParts:
    """What lists are made of and logged to.

    Attributes
    ----------
    count_degraded
        Called with the reason (``model``, ``features``, ``stale``) for each poorer list.
    explore_share
        Probability with which a place of a list explores.
    count_arm
        Called for each list of an experiment with the labels of its impression, the seconds it
        took to make, and whether it is degraded.
    is_stale
        Whether the windows of a listener's partition stand still: the list is made of them all the
        same.
    """

    features: Features
    model: Model
    impressions: Impressions
    count_degraded: Callable[[str], None]
    explore_share: float
    count_arm: CountArm = _nobody
    is_stale: Callable[[str], bool] = lambda _: False

    def finish(self, made: MadeList) -> bytes:
        """Log a list as an impression and return the body of its answer; on the event loop."""
        self.impressions.add(_impression_of(made))
        if made.asked.arm != NO_ARM:
            self.count_arm(made.asked.arm, time.time() - made.moment.now, made.degraded)
        return body_of(
            made.moment,
            made.user,
            made.window,
            made.degraded,
            made.ranking.stranger,
            made.impression_id,
            made.items,
        )

    def is_degraded(self, user: str, no_features: bool) -> bool:
        """Return whether a list is made with less than it should be, and count it if so.

        Parameters
        ----------
        no_features
            The feature store did not answer, or what it holds of the listener cannot be read.
        """
        if no_features:
            self.count_degraded("features")
            return True
        if self.is_stale(user):
            self.count_degraded("stale")
            return True
        return False

    def without_model(self, user: str, impression_id: str) -> bytes:
        """Return the body of an answer while no model is mapped: an empty list."""
        self.count_degraded("model")
        return body_of(Moment(0.0, 0, 0), user, "", True, True, impression_id, b"")


def _impression_of(made: MadeList) -> Impression:
    """Return the impression of a list: tracks without a document are neither shown nor logged."""
    ranking, shown, teams = made.ranking, made.shown, made.ranking.teams
    numbers = pack(ranking.scores, ranking.propensities, ranking.features)
    named = [bool(track.opening) for track in shown]
    if not all(named):
        rows = np.frombuffer(numbers, np.uint8).reshape(len(shown), -1)
        numbers = rows[np.array(named)].tobytes()
        teams = None if teams is None else teams[np.array(named)]
    return Impression(
        impression_id=made.impression_id,
        user_id=made.user,
        at=int(made.moment.now * 1000),
        generation=made.moment.generation,
        offset=made.moment.offset,
        tracks=[track.track_id for track in shown if track.opening],
        numbers=numbers,
        teams=msgspec.UNSET if teams is None else "".join(map(str, teams.tolist())),
        arm=made.asked.arm,
        mode="discover" if made.asked.discover else "next",
        degraded=made.degraded,
    )
