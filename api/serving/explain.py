"""Why a track is in a list, in names instead of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import msgspec

from api.serving.lookup import Document, document_at
from online_model import Ranking, Recommender
from online_model.explaining import OTHER, Reason


class Because(msgspec.Struct):
    """A play of the listener that led to the track; ``count`` plays support the step from it.

    For ``batch`` and ``content``, ``count`` is the similarity of the two tracks in that view.
    """

    track_id: str
    artist: str
    title: str
    count: float


class ReasonOut(msgspec.Struct):
    """Contribution of one source of candidates to a track's score (a logit), with a sentence.

    A contribution below 0 counts against the track. The source ``other`` holds what no single
    source accounts for; with it the contributions add up to the score.
    """

    source: str
    contribution: float
    plays: list[Because]
    text: str


#: Source -> words for a contribution above 0; ``{}`` names the plays that led to the track.
_FOR = {
    "next": "often played right after {}",
    "session": "often heard in one sitting with {}",
    "artist": "by an artist you play, or close to one: {}",
    "taste": "liked by those who like {}",
    "batch": "the nightly model puts it beside {}",
    "content": "sounds and is tagged like {}",
}
_FOR_ALONE = {
    "next": "often played at this point",
    "session": "fits this sitting",
    "artist": "by an artist close to what is heard here",
    "taste": "fits what is heard here",
    "batch": "the nightly model suggests it",
    "content": "like what is heard here, by artist, tags or sound",
    "popularity": "played much by everybody these days",
    "history": "played before, and about due again",
}
#: The same for a contribution below 0.
_AGAINST = {
    "next": "counts against it: what is usually played right after {}",
    "session": "counts against it: what is usually heard in one sitting with {}",
    "artist": "counts against it: what you made of its artist, by {}",
    "taste": "counts against it: what those who like {} usually hear",
    "batch": "counts against it: what the nightly model puts beside {}",
    "content": "counts against it: how it compares with {} by artist, tags or sound",
}
_AGAINST_ALONE = {
    "next": "counts against it: what is usually played at this point",
    "session": "counts against it: what usually fits this sitting",
    "artist": "counts against it: its artist is not what is heard here",
    "taste": "counts against it: what is heard here otherwise",
    "batch": "counts against it: what the nightly model suggests",
    "content": "counts against it: how it compares by artist, tags or sound",
    "popularity": "counts against it: how much everybody plays it these days",
    "history": "counts against it: played before, and not due again yet",
}


def sentence(source: str, contribution: float, others: list[Because]) -> str:
    """Return a reason in words; ``others`` are the plays of other tracks that led to this one.

    Examples
    --------
    >>> sentence("next", 0.4, [Because("y", "Air", "Run", 3.0)])
    'often played right after "Run" by Air'
    >>> sentence("popularity", 0.4, [])
    'played much by everybody these days'
    >>> sentence("history", -0.4, [])
    'counts against it: played before, and not due again yet'
    """
    if source == OTHER:
        return "other evidence"
    named = [f'"{play.title}" by {play.artist}' for play in others[:2]]
    with_plays, alone = (_FOR, _FOR_ALONE) if contribution > 0 else (_AGAINST, _AGAINST_ALONE)
    if named and source in with_plays:
        return with_plays[source].format(" and ".join(named))
    return alone.get(source, source)


def reasons_of(reader: Recommender, ranking: Ranking) -> list[list[ReasonOut]]:
    """Return the reasons of each track of an explained ranking, the greatest contribution first."""
    document_of = documents_of(reader)
    return [
        reasons_in_words(document_of, row, score, reasons)
        for row, score, reasons in zip(
            ranking.indices.tolist(), ranking.scores.tolist(), ranking.reasons, strict=True
        )
    ]


def documents_of(reader: Recommender) -> Callable[[int], Document | None]:
    """Return a function from a row to its document that reads each row once."""
    return cache(lambda row: document_at(reader, row))


def reasons_in_words(
    document_of: Callable[[int], Document | None],
    track: int,
    score: float,
    reasons: tuple[Reason, ...],
) -> list[ReasonOut]:
    """Return the reasons of one track; their contributions, as rounded, add up to the score."""
    *named, _ = reasons
    told = [_reason(document_of, track, reason) for reason in named]
    rest = round(score - sum(reason.contribution for reason in told), 4)
    return [*told, ReasonOut(OTHER, rest, [], sentence(OTHER, rest, []))]


def _reason(document_of: Callable[[int], Document | None], track: int, reason: Reason) -> ReasonOut:
    known = [
        (row, Because(play.track_id, play.artist, play.title, round(count, 2)))
        for row, count in reason.plays
        if (play := document_of(row)) is not None
    ]
    others = [play for row, play in known if row != track]
    return ReasonOut(
        reason.source,
        round(reason.contribution, 4),
        [play for _, play in known],
        sentence(reason.source, reason.contribution, others),
    )
