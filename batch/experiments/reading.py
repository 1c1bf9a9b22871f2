"""Reads experiments from the warehouse."""

from __future__ import annotations

from batch.ask import Ask
from batch.experiments.moments import COLUMNS, PRODUCTS, Moments
from batch.experiments.verdict import Facts

_ARMS = """
select experiment, arm, weight, metric, guardrails, planned_end, ended_at
from staging.stg_segue__experiment_arms
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


def experiments(ask: Ask) -> list[Facts]:
    """Return every started experiment, the newest first."""
    moments: dict[str, dict[str, dict[str, Moments]]] = {}
    for key, metric, arm, n, *sums in ask(_MOMENTS):
        made = Moments.of(n, sums[:4], sums[4:])
        moments.setdefault(key, {}).setdefault(metric, {})[arm] = made
    seen = {(key, arm): rest for key, arm, *rest in ask(_LISTENERS)}
    rows: dict[str, list[tuple[object, ...]]] = {}
    for row in ask(_ARMS):
        rows.setdefault(row[0], []).append(row)
    return [_facts(key, found, moments.get(key, {}), seen) for key, found in rows.items()]


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
