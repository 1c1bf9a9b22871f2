"""The conclusion of an experiment, in words that claim no more than the interval allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from batch.experiments.compare import (
    FEWEST,
    SRM_ALPHA,
    Comparison,
    Interval,
    compare,
    holm,
    sample_ratio,
)
from batch.experiments.moments import Moments
from contracts.experiments import GUARDRAILS, LESS_IS_BETTER, METRICS

#: The sentence on an experiment that still runs after its planned end.
OVERDUE = "The planned end has passed and later lists do not count: end the experiment."


@dataclass(frozen=True, slots=True)
class Facts:
    """An experiment as the warehouse has it.

    Attributes
    ----------
    arms
        Names, the control first, with the share each should have.
    listeners
        Listeners by arm.
    moments
        By metric, then arm.
    fell_back
        Share of lists that an arm could not make, by arm.
    seen_twice
        Listeners who saw lists of two arms; they are left out.
    """

    experiment: str
    metric: str
    guardrails: tuple[str, ...]
    arms: Mapping[str, float]
    listeners: Mapping[str, int]
    moments: Mapping[str, Mapping[str, Moments]]
    fell_back: Mapping[str, float]
    seen_twice: int
    planned_end: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judged:
    """One arm beside the control for one metric.

    Attributes
    ----------
    role
        ``primary``, ``guardrail`` or ``other``.
    interval
        Bounds of the difference that may be read now: those that hold at every look before the
        planned end, those of one look from then on.
    p
        Of the primary metric at the planned end, adjusted for the number of arms (Holm); ``None``
        otherwise.
    """

    arm: str
    metric: str
    role: str
    comparison: Comparison
    interval: Interval
    p: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion, and the figures behind it."""

    sentences: tuple[str, ...]
    judged: tuple[Judged, ...]
    readable: bool


def judge(facts: Facts, now: datetime) -> Verdict:
    """Judge an experiment as of a moment.

    Parameters
    ----------
    now
        Time of the look, UTC without zone. An experiment that was ended before its planned end
        keeps the bounds that hold at every look.
    """
    control, *others = facts.arms
    at_end = min(now, facts.ended_at or now) >= facts.planned_end
    judged = _judged(facts, control, others, at_end)
    trouble = _trouble(facts)
    if trouble is not None:
        return Verdict((trouble,), judged, readable=False)
    sentences = [sentence for arm in others for sentence in _of_arm(facts, arm, judged, at_end)]
    sentences += _asides(facts)
    if at_end and facts.ended_at is None:
        sentences.append(OVERDUE)
    return Verdict(tuple(sentences), judged, readable=True)


def _judged(facts: Facts, control: str, others: Sequence[str], at_end: bool) -> tuple[Judged, ...]:
    made: list[Judged] = []
    for metric in METRICS:
        by_arm = facts.moments.get(metric, {})
        if control not in by_arm:
            continue
        found = {
            arm: comparison
            for arm in others
            if arm in by_arm and (comparison := compare(by_arm[control], by_arm[arm])) is not None
        }
        adjusted = holm({arm: comparison.p for arm, comparison in found.items()})
        role = "primary" if metric == facts.metric else "other"
        role = "guardrail" if metric in facts.guardrails and role == "other" else role
        for arm, comparison in found.items():
            interval = comparison.fixed if at_end else comparison.always
            p = adjusted[arm] if at_end and role == "primary" else None
            made.append(Judged(arm, metric, role, comparison, interval, p))
    return tuple(made)


def _trouble(facts: Facts) -> str | None:
    """Return why the figures must not be read, if so."""
    counts = [facts.listeners.get(arm, 0) for arm in facts.arms]
    if min(counts) < FEWEST:
        seen = ", ".join(f"{arm} {n}" for arm, n in zip(facts.arms, counts, strict=True))
        return f"Too few listeners for a conclusion ({seen}; at least {FEWEST} in each arm)."
    chance = sample_ratio(counts, list(facts.arms.values()))
    if chance < SRM_ALPHA:
        seen = ", ".join(f"{arm} {n}" for arm, n in zip(facts.arms, counts, strict=True))
        return (
            f"Do not read the figures: the arms hold {seen} listeners, which chance alone gives "
            f"with probability {chance:.1g}. Something removes listeners from an arm."
        )
    return None


def _of_arm(facts: Facts, arm: str, judged: Sequence[Judged], at_end: bool) -> list[str]:
    mine = {j.metric: j for j in judged if j.arm == arm}
    primary = mine.get(facts.metric)
    if primary is None:
        return [f"{arm}: there is no value of {facts.metric} yet."]
    guarded = [_of_guardrail(mine[name]) for name in facts.guardrails if name in mine]
    return [_of_primary(primary, at_end), *filter(None, guarded)]


def differs(judged: Judged) -> bool:
    """Return whether a difference may be claimed now."""
    return judged.interval.excludes_zero and (judged.p is None or judged.p < 0.05)


def _of_primary(primary: Judged, at_end: bool) -> str:
    known = _range(primary)
    name = f"{primary.arm}: {primary.metric} "
    if differs(primary):
        better = (primary.interval.low > 0.0) != (primary.metric in LESS_IS_BETTER)
        return f"{name}is {'better' if better else 'worse'} than the control ({known})."
    if at_end:
        return f"{name}shows no difference that this experiment can detect ({known})."
    return (
        f"{name}cannot be distinguished from the control yet ({known}); wait for the planned end."
    )


def _of_guardrail(judged: Judged) -> str | None:
    """Return a sentence if a guardrail is violated, or if that cannot be excluded."""
    base = abs(judged.comparison.control.value)
    worse = judged.interval.high if judged.metric in LESS_IS_BETTER else -judged.interval.low
    least = judged.interval.low if judged.metric in LESS_IS_BETTER else -judged.interval.high
    tolerated = GUARDRAILS[judged.metric] * base
    if least > 0.0:
        return f"{judged.arm}: the guardrail {judged.metric} is worse ({_range(judged)})."
    if worse > tolerated:
        return (
            f"{judged.arm}: the guardrail {judged.metric} may be worse by more than "
            f"{100 * GUARDRAILS[judged.metric]:.0f} % ({_range(judged)})."
        )
    return None


def _range(judged: Judged) -> str:
    """Return the bounds in per cent of the control's value; in the metric's unit if that is 0."""
    base = judged.comparison.control.value
    low, high = judged.interval.low, judged.interval.high
    if not base:
        return f"between {low:+.3g} and {high:+.3g}"
    low, high = sorted((100 * low / base, 100 * high / base))
    return f"between {low:+.1f} % and {high:+.1f} %"


def _asides(facts: Facts) -> list[str]:
    said = [
        f"{arm}: {100 * share:.1f} % of its lists could not be made; the listeners got the usual "
        "ones, so its effect is understated."
        for arm, share in facts.fell_back.items()
        if share > 0.0
    ]
    if facts.seen_twice:
        said.append(f"{facts.seen_twice} listeners saw lists of two arms and are left out.")
    return said
