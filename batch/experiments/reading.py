"""Reads experiments from the warehouse: by group of listeners, and interleaved ones."""

from __future__ import annotations

from batch.ask import Ask
from batch.experiments.moments import COLUMNS, PRODUCTS, Moments
from batch.experiments.preference import Preferences
from batch.experiments.verdict import Facts
from contracts.experiments import PREFERENCE

_ARMS = """
select experiment, arm, weight, metric, guardrails, planned_end, ended_at
from staging.stg_segue__experiment_arms
where metric <> 'preference'
order by started_at desc, experiment, position
"""
_LISTENERS = """
select experiment, arm, sum(case when arms_seen = 1 then 1 else 0 end),
    sum(case when arms_seen > 1 then 1 else 0 end), sum(lists_fell_back), sum(lists)
from marts.fct_experiment_listeners
group by experiment, arm
"""
_SUMS = ", ".join(f"sum_{name}" for name in (*COLUMNS, *PRODUCTS))
_MOMENTS = f"""
select experiment, metric, arm, listeners, {_SUMS} from marts.metrics_experiments
"""  # noqa: S608  names of ours
_INTERLEAVED = """
select experiment, planned_end, ended_at, max(case when position = 0 then arm end),
    max(case when position = 1 then arm end)
from staging.stg_segue__experiment_arms
where metric = 'preference'
group by experiment, planned_end, ended_at, started_at
order by started_at desc, experiment
"""
#: By experiment: listeners who played more of either arm, first picks, lists.
_DRAFTED = """
select experiment, count(case when credits_control > credits_arm then 1 end),
    count(case when credits_arm > credits_control then 1 end), sum(first_control), sum(first_arm),
    sum(lists), sum(lists_fell_back)
from marts.fct_interleaved_listeners
group by experiment
"""


def interleaved(ask: Ask) -> list[Preferences]:
    """Return every started interleaved experiment, the newest first."""
    known = moments(ask)
    found = {key: row for key, *row in ask(_DRAFTED)}
    made = []
    for key, planned_end, ended_at, control, arm in ask(_INTERLEAVED):
        row = [int(n) for n in found.get(key, [0] * 6)]
        for_control, for_arm, first_control, first_arm, lists, fell_back = row
        made.append(
            Preferences(
                experiment=key,
                control=control,
                arm=arm,
                moments=known.get(key, {}).get(PREFERENCE, {}).get(arm, Moments.none()),
                prefer_control=for_control,
                prefer_arm=for_arm,
                first_control=first_control,
                first_arm=first_arm,
                fell_back=fell_back / max(lists + fell_back, 1),
                planned_end=planned_end,
                ended_at=ended_at,
            )
        )
    return made


#: Sums by experiment, metric and arm.
Sums = dict[str, dict[str, dict[str, Moments]]]
#: The experiment of everybody who was here in the last fourteen days, of one arm.
EVERYBODY = ""


def moments(ask: Ask) -> Sums:
    """Return the sums of every experiment."""
    found: Sums = {}
    for key, metric, arm, n, *sums in ask(_MOMENTS):
        made = Moments.of(n, sums[:4], sums[4:])
        found.setdefault(key, {}).setdefault(metric, {})[arm] = made
    return found


def experiments(ask: Ask) -> list[Facts]:
    """Return every started experiment of two or more groups, the newest first."""
    known = moments(ask)
    seen = {(key, arm): rest for key, arm, *rest in ask(_LISTENERS)}
    rows: dict[str, list[tuple[object, ...]]] = {}
    for row in ask(_ARMS):
        rows.setdefault(row[0], []).append(row)
    return [_facts(key, found, known.get(key, {}), seen) for key, found in rows.items()]


def _facts(
    key: str,
    rows: list[tuple[object, ...]],
    moments: dict[str, dict[str, Moments]],
    seen: dict[tuple[str, str], list[int]],
) -> Facts:
    _, _, _, metric, guardrails, planned_end, ended_at = rows[0]
    arms = {str(row[1]): float(str(row[2])) for row in rows}
    nothing = [0, 0, 0, 0]
    counts = {arm: [int(n) for n in seen.get((key, arm), nothing)] for arm in arms}
    return Facts(
        experiment=key,
        metric=str(metric),
        guardrails=tuple(filter(None, str(guardrails).split(","))),
        arms=arms,
        listeners={arm: count[0] for arm, count in counts.items()},
        moments=moments,
        fell_back={arm: count[2] / max(count[3], 1) for arm, count in counts.items()},
        seen_twice=sum(count[1] for count in counts.values()),
        planned_end=planned_end,  # type: ignore[arg-type]
        ended_at=ended_at,  # type: ignore[arg-type]
    )
