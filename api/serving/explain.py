"""Why a track is in a list, in names instead of rows."""

from __future__ import annotations

import msgspec

from api.serving.lookup import document_at
from online_model import Ranking, Recommender
from online_model.explaining import Reason


class Because(msgspec.Struct):
    """A play of the listener that led to the track; ``count`` plays support the step from it."""

    track_id: str
    artist: str
    title: str
    count: float


class ReasonOut(msgspec.Struct):
    """What one source of candidates did to a track's score (a logit); ``text`` says it in words."""

    source: str
    contribution: float
    plays: list[Because]
    text: str


#: Source of candidates -> what it means; ``{}`` is the plays that led to the track.
_WITH_PLAYS = {
    "next": "often played right after {}",
    "session": "often heard in one sitting with {}",
    "nearest": "heard lately in one sitting with {}",
    "taste": "liked by those who like {}",
    "batch": "the nightly model puts it beside {}",
    "content": "sounds and is tagged like {}",
}
_ALONE = {
    "next": "often played at this point",
    "session": "fits this sitting",
    "nearest": "heard lately by listeners in such a sitting",
    "taste": "fits what is heard here",
    "batch": "the nightly model suggests it",
    "content": "like what is heard here, by tags and sound",
    "popularity": "played much by everybody these days",
    "history": "played before, and about due again",
}


def sentence(source: str, others: list[Because]) -> str:
    """Return a reason in words; `others` are the plays of other tracks that led to this one.

    Examples
    --------
    >>> sentence("next", [Because("y", "Air", "Run", 3.0)])
    'often played right after "Run" by Air'
    >>> sentence("popularity", [])
    'played much by everybody these days'
    """
    named = [f'"{play.title}" by {play.artist}' for play in others[:2]]
    if named and source in _WITH_PLAYS:
        return _WITH_PLAYS[source].format(" and ".join(named))
    return _ALONE.get(source, source)


def reasons_of(reader: Recommender, ranking: Ranking) -> list[list[ReasonOut]]:
    """Return the reasons of each track of an explained ranking, strongest first."""
    return [
        [_reason(reader, row, reason) for reason in reasons]
        for row, reasons in zip(ranking.indices.tolist(), ranking.reasons, strict=True)
    ]


def _reason(reader: Recommender, track: int, reason: Reason) -> ReasonOut:
    known = [
        (int(row), Because(play.track_id, play.artist, play.title, round(float(count), 3)))
        for row, count in reason.plays
        if (play := document_at(reader, int(row))) is not None
    ]
    others = [play for row, play in known if row != track]
    return ReasonOut(
        reason.source,
        float(reason.contribution),
        [play for _, play in known],
        sentence(reason.source, others),
    )
