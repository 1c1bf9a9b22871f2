"""What a request for recommendations asks for, and what it is answered with."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from api.errors import ApiError
from api.serving.explain import ReasonOut
from contracts.labels import NO_ARM

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off", ""})
#: Longest query that is remembered (bytes): a longer one is rare, and could have any length.
LONGEST_REMEMBERED = 128
#: ``Asked.batch``: the table of the nightly model that the live model has.
LIVE = -1


class Recommended(msgspec.Struct, omit_defaults=True):
    """One track of a list, best first.

    ``propensity`` is there only if exploration drew the track from further down the list: the
    probability, 0 to 1, that this place of the list shows this track.
    ``reasons``, where ``explain`` asked for them, add up to ``score``.
    """

    track_id: str
    artist: str
    title: str
    score: float
    propensity: float | None = None
    reasons: list[ReasonOut] | None = None


class Recommendations(msgspec.Struct):
    """A list for one listener.

    ``generation`` and ``offset`` say which model answered and how much of the log it had learned;
    ``window`` names the state of the listener's latest plays, as the ids of live events do, and is
    empty if they could not be read;
    ``degraded`` that something was missing (popular tracks, or none, instead of a personal list) or
    that the listener's latest plays may be (the worker that folds them stands still);
    ``stranger`` that no play of this listener is known. Send ``impression_id`` with a play that
    came from this list.
    """

    user: str
    generation: int
    offset: int
    window: str
    degraded: bool
    stranger: bool
    impression_id: str
    recommendations: list[Recommended]


class Asked(NamedTuple):
    """The query of a request, with the changes that experiments make (:mod:`api.serving.arms`).

    Attributes
    ----------
    explore
        Probability with which a place explores; ``None``: that of ``SEGUE_EXPLORE_SHARE``.
    artist_cap
        Greatest number of tracks of one artist; 0: no limit.
    popular
        Whether the list holds popular tracks only, as for an unknown listener.
    batch
        Table of the nightly model: :data:`LIVE`, 0 for none, else the number of a generation.
    content
        Whether the ranker uses the table of tracks with similar content.
    against
        The query of the other arm, if the list is interleaved from two arms; else ``None``.
    arm
        The experiments and arms that the impression records.
    """

    limit: int = DEFAULT_LIMIT
    discover: bool = False
    explain: bool = False
    diversity: float = 0.0
    explore: float | None = None
    artist_cap: int = 0
    popular: bool = False
    batch: int = LIVE
    content: bool = True
    against: Asked | None = None
    arm: str = NO_ARM

    @property
    def costly(self) -> bool:
        """Whether the list takes long enough to be made on a thread (:mod:`api.serving.slow`)."""
        return (
            self.explain
            or self.diversity > 0.0
            or self.artist_cap > 0
            or self.against is not None
            or self.other_tables
        )

    @property
    def other_tables(self) -> bool:
        """Whether the list uses other neighbour tables than the live model does.

        An arm of an experiment can replace or leave out a table (:mod:`api.serving.tables`).
        """
        return self.batch != LIVE or not self.content


def parameters(query: bytes) -> Asked:
    """Return what a query string asks for.

    Raises
    ------
    ApiError
        400 for a parameter that makes no sense.
    """
    if not query:
        return Asked()
    return _remembered(query) if len(query) <= LONGEST_REMEMBERED else _read(query)


def _read(query: bytes) -> Asked:
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    text = given.get("limit", [str(DEFAULT_LIMIT)])[-1]
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= MAX_LIMIT:
        raise ApiError(
            400, "bad-parameter", f"limit is a number from 1 to {MAX_LIMIT}.", field="limit"
        )
    return Asked(
        int(text), _flag(given, "discover"), _flag(given, "explain"), _share(given, "diversity")
    )


_remembered = lru_cache(1024)(_read)


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
