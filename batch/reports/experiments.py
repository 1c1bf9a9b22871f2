"""What experiments have shown so far, with how sure it is."""

from __future__ import annotations

from datetime import UTC

from batch.ask import Ask
from batch.experiments.compare import Estimate, estimate, paired
from batch.experiments.preference import Preferences, judge_preference
from batch.experiments.reading import experiments, interleaved
from batch.experiments.verdict import Facts, Judged, Verdict, judge
from batch.reports.report import Cell, Column, Kind, Occasion, Report, Table
from contracts.experiments import METRICS, PREFERENCE

_COMPARISONS = (
    Column("experiment", "Experiment", "name"),
    Column("arm", "Arm", "name"),
    Column("metric", "Metric", "name"),
    Column("role", "Role"),
    Column("control_value", "Control", "thousandths"),
    Column("arm_value", "Arm", "thousandths"),
    Column("difference", "Difference", "thousandths"),
    Column("low", "At least", "thousandths"),
    Column("high", "At most", "thousandths"),
    Column("relative", "Relative", "percent"),
    Column("p", "p at the planned end", "thousandths"),
    Column("variance_kept", "Variance kept", "percent"),
)
_VERDICTS = (
    Column("experiment", "Experiment", "name"),
    Column("verdict", "Conclusion"),
)
_ARMS = (
    Column("experiment", "Experiment", "name"),
    Column("arm", "Arm", "name"),
    Column("weight", "Share planned", "percent"),
    Column("listeners", "Listeners", "count"),
    Column("share", "Share seen", "percent"),
    Column("metric", "Metric", "name"),
    Column("value", "Value", "thousandths"),
    Column("error", "Standard error", "thousandths"),
    Column("fell_back", "Lists not made", "percent"),
)


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Draw the report: every experiment that was started."""
    now = occasion.generated_at.astimezone(UTC).replace(tzinfo=None)
    split = [(facts, judge(facts, now)) for facts in experiments(ask)]
    drafted = [(facts, judge_preference(facts, now)) for facts in interleaved(ask)]
    found: list[tuple[Facts | Preferences, Verdict]] = [*split, *drafted]
    running = sum(1 for facts, _ in found if facts.ended_at is None)
    facts: dict[str, Cell] = {"Running": running, "Ended": len(found) - running}
    return Report(
        name=KIND.name,
        title="Which variant of the lists is better?",
        summary="Every experiment that was started, by listener.",
        facts=facts,
        figures=[],
        tables=[
            Table(
                "comparisons",
                "Arms compared with their control",
                _COMPARISONS,
                [_comparison(f.experiment, j) for f, verdict in found for j in _ordered(verdict)],
            ),
            Table(
                "verdicts",
                "Conclusion",
                _VERDICTS,
                [(f.experiment, text) for f, verdict in found for text in verdict.sentences],
            ),
            Table(
                "arms",
                "Arms",
                _ARMS,
                [
                    *(row for f, _ in split for row in _arms(f)),
                    *(row for p, _ in drafted for row in _drafted(p)),
                ],
            ),
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
        notes=[
            "The unit is the listener. Bounds hold with 95 % probability: before the planned end "
            "for all readings of the report together, from then on for a single reading.",
            *(f"{name}: {text}." for name, text in METRICS.items()),
            f"{PREFERENCE}: played tracks per list, by the arm that picked them; each list is "
            "made from the lists of both arms.",
        ],
    )


def _ordered(verdict: Verdict) -> list[Judged]:
    order = {"primary": 0, "guardrail": 1, "other": 2}
    return sorted(verdict.judged, key=lambda j: (order[j.role], j.arm))


def _comparison(experiment: str, judged: Judged) -> tuple[Cell, ...]:
    made = judged.comparison
    return (
        experiment,
        judged.arm,
        judged.metric,
        judged.role,
        made.control.value,
        made.arm.value,
        made.difference.value,
        judged.interval.low,
        judged.interval.high,
        made.relative if made.control.value else None,
        judged.p,
        made.kept,
    )


def _arms(facts: Facts) -> list[tuple[Cell, ...]]:
    total = sum(facts.listeners.values())
    rows: list[tuple[Cell, ...]] = []
    for arm, weight in facts.arms.items():
        moments = facts.moments.get(facts.metric, {}).get(arm)
        known = moments is not None and moments.sums[1] > 0.0
        value = estimate(moments) if known and moments is not None else None
        rows.append(
            (
                facts.experiment,
                arm,
                weight,
                facts.listeners[arm],
                facts.listeners[arm] / total if total else None,
                facts.metric,
                value.value if value else None,
                value.error if value else None,
                facts.fell_back[arm],
            )
        )
    return rows


def _drafted(facts: Preferences) -> list[tuple[Cell, ...]]:
    """Return the rows of an interleaved experiment: every listener saw both arms."""
    made = paired(facts.moments)
    estimates: list[Estimate | None] = [made.control, made.arm] if made else [None, None]
    return [
        (
            facts.experiment,
            arm,
            share,
            facts.moments.n,
            None,
            PREFERENCE,
            value.value if value else None,
            value.error if value else None,
            facts.fell_back,
        )
        for (arm, share), value in zip(facts.arms.items(), estimates, strict=True)
    ]


KIND = Kind("experiments", "What experiments have shown, and how sure it is.", draw)
