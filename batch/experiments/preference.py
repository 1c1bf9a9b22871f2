"""Judging interleaved experiments: which of two rankings' tracks do listeners play?

Every listener sees both arms in one list, so differences between listeners cancel out: that is why
it takes far fewer of them than two groups do. The unit is the listener: the difference of the plays
credited to the arms, over the lists, with its error by the delta method. The sign test over
listeners is reported with it: how many prefer each arm, so that listeners who play much do not
decide alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scipy import stats

from batch.experiments.compare import (
    FEWEST,
    SRM_ALPHA,
    paired,
)
from batch.experiments.moments import Moments
from batch.experiments.verdict import OVERDUE, Judged, Verdict, differs
from contracts.experiments import PREFERENCE


@dataclass(frozen=True, slots=True)
class Preferences:
    """An interleaved experiment as the warehouse has it.

    Attributes
    ----------
    moments
        Over listeners, with the columns: plays credited to the arm, lists, plays credited to the
        control, lists.
    prefer_control, prefer_arm
        Listeners to whom more plays of one arm are credited.
    first_control, first_arm
        Lists whose first track each picked.
    fell_back
        Share of lists that could not be drafted.
    """

    experiment: str
    control: str
    arm: str
    moments: Moments
    prefer_control: int
    prefer_arm: int
    first_control: int
    first_arm: int
    fell_back: float
    planned_end: datetime
    ended_at: datetime | None

    @property
    def arms(self) -> Mapping[str, float]:
        """The arms with their share of the places, the control first."""
        return {self.control: 0.5, self.arm: 0.5}


def sign_test(prefer_control: int, prefer_arm: int) -> float:
    """Return the chance of a majority at least as large if no listener preferred an arm."""
    total = prefer_control + prefer_arm
    return float(stats.binomtest(prefer_arm, total).pvalue) if total else 1.0


def judge_preference(facts: Preferences, now: datetime) -> Verdict:
    """Judge an interleaved experiment as of a moment."""
    at_end = min(now, facts.ended_at or now) >= facts.planned_end
    comparison = paired(facts.moments)
    if comparison is None:
        return Verdict(("No list has been drafted yet.",), (), readable=False)
    interval = comparison.fixed if at_end else comparison.always
    p = comparison.p if at_end else None
    judged = Judged(facts.arm, PREFERENCE, "primary", comparison, interval, p)
    trouble = _trouble(facts)
    if trouble:
        return Verdict((trouble,), (judged,), readable=False)
    sentences = [_sentence(facts, judged, at_end), _signs(facts)]
    if facts.fell_back > 0.0:
        sentences.append(
            f"{100 * facts.fell_back:.1f} % of the lists could not be drafted; the listeners got "
            "the usual ones, which count for neither arm."
        )
    if at_end and facts.ended_at is None:
        sentences.append(OVERDUE)
    return Verdict(tuple(sentences), (judged,), readable=True)


def _trouble(facts: Preferences) -> str | None:
    played = facts.prefer_control + facts.prefer_arm
    if played < FEWEST:
        return (
            f"Too few listeners for a conclusion ({played} played more from one arm than from the "
            f"other; at least {FEWEST} are needed)."
        )
    chance = sign_test(facts.first_control, facts.first_arm)
    if chance < SRM_ALPHA:
        return (
            f"Do not read the figures: {facts.control} picked the first track of "
            f"{facts.first_control} lists, {facts.arm} that of {facts.first_arm}, which coins give "
            f"with probability {chance:.1g}. Something removes lists."
        )
    return None


def _sentence(facts: Preferences, judged: Judged, at_end: bool) -> str:
    low, high = judged.interval.low, judged.interval.high
    bounds = f"{low:+.4f} to {high:+.4f} plays a list"
    if differs(judged):
        better, worse = (facts.arm, facts.control) if low > 0.0 else (facts.control, facts.arm)
        return f"Listeners prefer the tracks of {better} to those of {worse} ({bounds})."
    if at_end:
        return f"No preference between {facts.control} and {facts.arm} could be seen ({bounds})."
    return (
        f"{facts.arm} cannot be distinguished from {facts.control} yet ({bounds}); wait for the "
        "planned end."
    )


def _signs(facts: Preferences) -> str:
    return (
        f"{facts.prefer_arm} listeners played more of {facts.arm}, {facts.prefer_control} more of "
        f"{facts.control} (sign test: p = {sign_test(facts.prefer_control, facts.prefer_arm):.2g})."
    )
