"""GET /v1/users/{user}/recommendations: one Redis read, the mapped model, no copies between."""

from __future__ import annotations

import time
import uuid
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope

from api.errors import ApiError
from api.http import Reply
from api.producer import Record
from api.services import Services
from api.serving.explain import ReasonOut, reasons_of
from contracts.errors import IncompatibleState, StoreUnavailable
from contracts.features import EMPTY, Listener
from contracts.ids import partition_of
from contracts.impressions import Impression, encode, pack
from online_model import Ranking, Recommender

PREFIX = "/v1/users/"
SUFFIX = "/recommendations"
ROUTE = "/v1/users/{user}/recommendations"
MAX_LIMIT = 100
DEFAULT_LIMIT = 20

_STRANGER = Listener.unpack(EMPTY)
_ENCODER = msgspec.json.Encoder()
_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off", ""})


class Recommended(msgspec.Struct, omit_defaults=True):
    """One track of a list, best first; ``reasons`` where ``explain`` asked for them."""

    track_id: str
    artist: str
    title: str
    score: float
    reasons: list[ReasonOut] | None = None


class Recommendations(msgspec.Struct):
    """A list for one listener.

    ``generation`` and ``offset`` say which model answered and how much of the log it had learned;
    ``degraded`` that something was missing (popular tracks, or none, instead of a personal list);
    ``stranger`` that no play of this listener is known. Send ``impression_id`` with a play that
    came from this list.
    """

    user: str
    generation: int
    offset: int
    degraded: bool
    stranger: bool
    impression_id: str
    recommendations: list[Recommended]


class Asked(NamedTuple):
    """The query of a request."""

    limit: int = DEFAULT_LIMIT
    discover: bool = False
    explain: bool = False
    diversity: float = 0.0


class Recommend:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive) -> Reply:
        """Answer one request.

        Raises
        ------
        ApiError
            400 for a parameter that makes no sense, 401, 403.
        """
        services = self._services
        identity = await services.accounts.require(scope)
        user = scope["path"][len(PREFIX) : -len(SUFFIX)]
        identity.check_acts_for(user)
        asked = _parameters(scope["query_string"])
        listener, missing = await self._listener(user)
        now = time.time()
        reader = services.model.reader
        impression = uuid.uuid4()
        impression_id = str(impression)
        if reader is None:
            services.metrics.degraded("model")
            return self._reply(user, 0, 0, True, True, impression_id, b"")
        ranking = reader.recommend(
            listener.tracks,
            listener.seconds,
            listener.ratios,
            now=int(now),
            k=asked.limit,
            discover=asked.discover,
            hidden=listener.hidden,
            diversity=asked.diversity,
            explain=asked.explain,
            explore=services.settings.explore_share,
            # The id of the impression is the seed of its draws: a list can be made again.
            draw=impression.int >> 64,
        )
        degraded = missing or ranking.degraded
        if degraded:
            services.metrics.degraded("features" if missing else "state")
        offset = sum(reader.offsets.values())
        documents = [reader.document(index) for index in ranking.indices.tolist()]
        self._log(
            reader, ranking, documents, user, impression_id, now, offset, asked.discover, degraded
        )
        tails = [b"}"] * len(documents)
        if asked.explain:
            tails = [
                b',"reasons":%s}' % _ENCODER.encode(reasons)
                for reasons in reasons_of(reader, ranking)
            ]
        items = b",".join(
            b'%s,"score":%.6g%s' % (document[:-1], score, tail)
            for document, score, tail in zip(documents, ranking.scores.tolist(), tails, strict=True)
            if document
        )
        return self._reply(
            user, reader.generation, offset, degraded, ranking.stranger, impression_id, items
        )

    async def _listener(self, user: str) -> tuple[Listener, bool]:
        """Return what is known of the listener and whether that is less than there should be."""
        try:
            blob = await self._services.features.get(user)
            return (_STRANGER, False) if blob is None else (Listener.unpack(blob), False)
        except (StoreUnavailable, IncompatibleState):
            return _STRANGER, True

    def _log(
        self,
        reader: Recommender,
        ranking: Ranking,
        documents: list[bytes],
        user: str,
        impression_id: str,
        now: float,
        offset: int,
        discover: bool,
        degraded: bool,
    ) -> None:
        services = self._services
        named = [k for k, document in enumerate(documents) if document]
        impression = Impression(
            impression_id=impression_id,
            user_id=user,
            at=int(now * 1000),
            generation=reader.generation,
            offset=offset,
            tracks=[_track_id(documents[k]) for k in named],
            numbers=pack(
                ranking.scores[named], ranking.propensities[named], ranking.features[named]
            ),
            mode="discover" if discover else "next",
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

    @staticmethod
    def _reply(
        user: str,
        generation: int,
        offset: int,
        degraded: bool,
        stranger: bool,
        impression_id: str,
        items: bytes,
    ) -> Reply:
        body = (
            b'{"user":%s,"generation":%d,"offset":%d,"degraded":%s,"stranger":%s,'
            b'"impression_id":"%s","recommendations":[%s]}'
        ) % (
            _ENCODER.encode(user),
            generation,
            offset,
            b"true" if degraded else b"false",
            b"true" if stranger else b"false",
            impression_id.encode(),
            items,
        )
        return Reply(200, body)


@lru_cache(65_536)
def _track_id(document: bytes) -> str:
    """Return the id in a document (remembered by the document, since rows are used again)."""
    return str(msgspec.json.decode(document)["track_id"])


def _parameters(query: bytes) -> Asked:
    """Return what a query string asks for."""
    if not query:
        return Asked()
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    text = given.get("limit", [str(DEFAULT_LIMIT)])[-1]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_LIMIT:
        raise ApiError(
            400, "bad-parameter", f"limit is a number from 1 to {MAX_LIMIT}.", field="limit"
        )
    return Asked(
        int(text), _flag(given, "discover"), _flag(given, "explain"), _share(given, "diversity")
    )


def _share(given: dict[str, list[str]], name: str) -> float:
    try:
        share = float(given.get(name, ["0"])[-1])
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:  # NaN is not either
        raise ApiError(400, "bad-parameter", f"{name} is a number from 0 to 1.", field=name)
    return share


def _flag(given: dict[str, list[str]], name: str) -> bool:
    text = given.get(name, [""])[-1].lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise ApiError(400, "bad-parameter", f"{name} is true or false.", field=name)
