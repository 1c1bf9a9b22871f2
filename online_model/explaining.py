"""Why a track is in a list: what each source did to its score, and the plays behind it.

A source's contribution is the track's score less the score it would have had without the source:
the source's evidence for this track is set to 0, and the track is described and scored again, by
the code that made the list. The other candidates stay as they are, and so does their best score of
the first stage, which the second stage compares with. Sources bear on one another, so contributions
do not add up to the score by themselves: the reason ``other`` is the rest, and with it they do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from online_model._numba import compiled, inner
from online_model.features import EVIDENCE, FEATURE_NAMES, FEATURES, SOURCES
from online_model.scoring import (
    best_of_shortlist,
    describe_tracks,
    score_first,
    score_second,
)
from online_model.scratch import END, OWN_END, SHORTLISTED, Scratch
from online_model.state import Array, State
from online_model.tracing import MOST_PLAYS, trace_plays

OTHER = "other"
"""The reason that holds what no source accounts for."""

SMALLEST = 0.01
"""A smaller contribution is counted among the others."""

_NAMES = tuple(SOURCES)


class PlayedBefore(NamedTuple):
    """A play of the listener that led to a track.

    Attributes
    ----------
    track
        Row of the track played.
    support
        How many plays of all listeners, recent ones counting more, support the step from it; for
        ``history`` how often the listener played it, for ``batch`` and ``content`` the similarity
        of the two in that view.
    """

    track: int
    support: float


class Reason(NamedTuple):
    """What one source contributed to one track's score (a logit); below 0 it counts against it."""

    source: str
    contribution: float
    plays: tuple[PlayedBefore, ...]


def explain_slots(
    state: State, scratch: Scratch, task: int, slots: npt.NDArray[np.int64], now: int
) -> list[tuple[Reason, ...]]:
    """Return the reasons of candidates of the list in ``scratch``; the list is used up by it.

    For each candidate the sources come with the greatest contribution first, ``other`` last. Their
    contributions add up to the candidate's score.
    """
    n, sources = len(slots), len(_NAMES)
    scores = scratch.scores[task, slots].astype(np.float64)
    given = np.zeros((n, sources), np.float32)
    tracks = np.zeros((n, sources, MOST_PLAYS), np.int32)
    support = np.zeros((n, sources, MOST_PLAYS), np.float32)
    chosen = np.ascontiguousarray(slots, np.int64)
    trace_plays(state, scratch, chosen, tracks, support)
    contribute(state, scratch, task, chosen, now, _EVIDENCE_OF, _FACTS_OF, given)
    return [
        _reasons(*one)
        for one in zip(
            scores.tolist(), given.tolist(), tracks.tolist(), support.tolist(), strict=True
        )
    ]


def _reasons(
    score: float, given: list[float], tracks: list[list[int]], support: list[list[float]]
) -> tuple[Reason, ...]:
    reasons = []
    for at, contribution in enumerate(given):
        if abs(contribution) >= SMALLEST:
            led = zip(tracks[at], support[at], strict=True)
            plays = tuple(PlayedBefore(track, count) for track, count in led if track >= 0)
            reasons.append(Reason(_NAMES[at], contribution, plays))
    reasons.sort(key=lambda reason: -reason.contribution)
    rest = score - sum(reason.contribution for reason in reasons)
    return (*reasons, Reason(OTHER, rest, ()))


def _masks() -> tuple[Array, Array]:
    evidence = np.zeros((len(SOURCES), EVIDENCE), np.bool_)
    facts = np.zeros((len(SOURCES), FEATURES), np.bool_)
    for at, source in enumerate(SOURCES.values()):
        evidence[at, list(source.evidence)] = True
        facts[at, [FEATURE_NAMES.index(name) for name in source.facts]] = True
    return evidence, facts


_EVIDENCE_OF, _FACTS_OF = _masks()


@compiled
def contribute(
    state: State,
    scratch: Scratch,
    task: int,
    slots: Array,
    now: int,
    evidence_of: Array,
    facts_of: Array,
    out: Array,
) -> None:
    """Fill ``out`` with what each source contributed to candidates of the list in ``scratch``.

    Each candidate is laid on the board once as it was and once without each source, and all of
    these are scored as if they were candidates; so the board holds no list afterwards.

    Parameters
    ----------
    slots
        Slots of the candidates, i64, shape (n,).
    now
        The second for which the list was made.
    evidence_of, facts_of
        Evidence and features of each source, bool, shapes (sources, EVIDENCE), (sources, FEATURES).
    out
        f32, shape (n, sources).
    """
    board = scratch.board
    best = best_of_shortlist(scratch)
    n, sources = out.shape
    tracks, evidence = board.candidates[slots], board.evidence[slots]
    listed = np.zeros(n, np.bool_)
    for i in range(n):
        listed[i] = _is_shortlisted(scratch, slots[i])
    board.tally[END] = board.tally[OWN_END] = sources + 2
    for i in range(n):
        for v in range(sources + 1):
            board.candidates[v + 1] = tracks[i]
            board.evidence[v + 1] = evidence[i]
        for s in range(sources):
            for e in range(EVIDENCE):
                if evidence_of[s, e]:
                    board.evidence[s + 2, e] = 0.0
        describe_tracks(state, scratch, now)
        for s in range(sources):
            for f in range(FEATURES):
                if facts_of[s, f]:
                    scratch.features[f, s + 2] = 0.0
        score_first(scratch)
        score = scratch.first[1 : sources + 2]
        if listed[i]:
            for v in range(sources + 1):
                scratch.short[v] = v + 1
            board.tally[SHORTLISTED] = sources + 1
            score_second(state, scratch, task, best)
            score = scratch.second[: sources + 1]
        for s in range(sources):
            out[i, s] = score[0] - score[s + 1]


@inner
def _is_shortlisted(scratch: Scratch, slot: int) -> bool:
    found = False
    for q in range(scratch.board.tally[SHORTLISTED]):
        found = found or scratch.short[q] == slot
    return found
