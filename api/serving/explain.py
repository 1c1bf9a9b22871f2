"""Why a track is in a list, in names instead of rows."""

from __future__ import annotations

import msgspec

from api.serving.lookup import document_at
from online_model import Ranking, Recommender


class Because(msgspec.Struct):
    """A play of the listener that led to the track; ``count`` plays support the step from it."""

    track_id: str
    artist: str
    title: str
    count: float


class ReasonOut(msgspec.Struct):
    """What one source of candidates did to the track's score (a logit)."""

    source: str
    contribution: float
    plays: list[Because]


def reasons_of(reader: Recommender, ranking: Ranking) -> list[list[ReasonOut]]:
    """Return the reasons of each track of an explained ranking, strongest first."""
    return [
        [
            ReasonOut(
                reason.source,
                float(reason.contribution),
                [
                    Because(known.track_id, known.artist, known.title, round(float(count), 3))
                    for row, count in reason.plays
                    if (known := document_at(reader, int(row))) is not None
                ],
            )
            for reason in reasons
        ]
        for reasons in ranking.reasons
    ]
