"""``segue bench experiments``: do experiments keep their promises?

- ``warehouse``: experiments without an effect, with a planted one, with lists that go missing, and
  interleaved ones, through assignment, log, decoder, sink, lake, dbt and report.
- ``looks``: an interval that is looked at every day, the usual one and the confidence sequence.
- ``interleaving``: listeners needed by drafted lists beside two groups, and false alarms.
- ``offpolicy``: how often bounds cover the truth, and how often an estimate is refused.

Every rate comes with its Monte-Carlo error. Bound by the processor: no figure is a time.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from batch import warehouse
from batch.experiments.compare import ALPHA, SRM_ALPHA, compare, paired, sample_ratio
from batch.experiments.landing import EXPERIMENT_ARMS
from batch.experiments.moments import Moments
from batch.experiments.offpolicy import NAMES, Exploring, judge
from batch.experiments.preference import sign_test
from batch.experiments.reading import experiments, interleaved
from batch.experiments.verdict import Facts
from batch.lake import Lake
from batch.postgres_tables import replace, table_of
from batch.reports import KINDS
from batch.reports.report import Occasion
from contracts.errors import ConfigurationError
from contracts.experiments import METRICS, Definition
from contracts.settings import Settings
from tests.batch.experiments.looks import Looks, look_daily
from tests.batch.experiments.rankers import drawn, needed, pool
from tests.batch.experiments.test_offpolicy import log, truth
from tests.benchmarks.experiment_world import DURING, TASTE, World, definition, now

#: Listeners of the experiments without an effect, and of each other experiment.
EVERYBODY, GROUP = 600, 300
#: How much more the planted arm's listeners play, and whom the uneven arm loses.
LIFT, LOST = 0.35, 0.3
#: Listeners of an interleaved experiment.
DRAFTERS = 150
#: By kind, experiments of a round; those with several arms have no effect.
PLANTED, UNEVEN, DRAFTED, SEVERAL = 25, 20, 75, 50

Counts = dict[str, list[float]]


def run(
    *, same: int = 1_000, rounds: int = 4, parts: str = "warehouse,looks,interleaving,offpolicy"
) -> dict[str, Any]:
    """Measure false alarms, power and coverage of experiments, beside theory.

    Parameters
    ----------
    same
        Experiments without an effect, over all rounds; each round has listeners of its own.
    rounds
        Lakes they are spread over.
    parts
        What to look at, separated by commas.
    """
    known: dict[str, Callable[[], Any]] = {
        "warehouse": lambda: through_the_warehouse(same, rounds),
        "looks": looks,
        "interleaving": interleaving,
        "offpolicy": offpolicy,
    }
    chosen = parts.split(",")
    if unknown := set(chosen) - set(known):
        raise ConfigurationError(f"--parts {','.join(unknown)}: choose from {', '.join(known)}")
    return {part: known[part]() for part in chosen}


def through_the_warehouse(same: int, rounds: int) -> dict[str, Any]:
    """Return rates over all rounds; every round reports its progress on stderr."""
    seen: Counts = defaultdict(list)
    for number in range(rounds):
        started = time.process_time()
        _round(number, same // rounds, seen)
        seconds = time.process_time() - started
        sys.stderr.write(f"round {number + 1} of {rounds}: {seconds:.0f} s of processor time\n")
    return _summary(seen)


def _round(number: int, same: int, seen: Counts) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        started = now() - (DURING + 2) * 86_400_000
        world = World(settings, number, started)
        equal = [definition(f"same-{n}") for n in range(same)]
        several = [definition(f"several-{n}", arms=3) for n in range(SEVERAL)]
        uneven = [definition(f"uneven-{n}") for n in range(UNEVEN)]
        planted = [definition(f"planted-{number}-{n}") for n in range(PLANTED)]
        drafted = [definition(f"drafted-{number}-{n}", interleaved=True) for n in range(DRAFTED)]
        world.listen(
            [f"round-{number}-{n}" for n in range(EVERYBODY)],
            [*uneven, *several, *equal],
            lost=(frozenset(each.key for each in uneven), LOST),
        )
        for group, size in ((planted, GROUP), (drafted, DRAFTERS)):
            for each in group:
                world.listen([f"{each.key}-{n}" for n in range(size)], [each], lift=LIFT)
        world.land()
        seen["rows"].append(world.rows)
        warehouse.land(settings, Lake.newest(settings))
        _land_arms(settings, started, [*equal, *several, *uneven, *planted, *drafted])
        built = warehouse.build(settings)
        assert built.ok, built.failed
        _judge(settings, seen)


def _land_arms(settings: Settings, started: int, definitions: list[Definition]) -> None:
    begin = datetime.fromtimestamp(started / 1000, UTC)
    times = (begin, begin + timedelta(days=DURING), None, datetime.now(UTC))
    rows = [
        (
            *(each.key, each.layer, each.hypothesis, each.metric, ",".join(each.guardrails)),
            *(arm.name, at, arm.weight, *times),
        )
        for each in definitions
        for at, arm in enumerate(each.arms)
    ]
    with warehouse.connect(settings, read_only=False) as connection:
        replace(connection, "experiment_arms", table_of(rows, EXPERIMENT_ARMS))


def _judge(settings: Settings, seen: Counts) -> None:
    today = datetime.now(UTC)
    with warehouse.asking(settings) as ask:
        split, drafted = experiments(ask), interleaved(ask)
        report = KINDS["experiments"].draw(ask, Occasion(today.date(), today))
    reported: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in report.tables[0].records():
        if row["role"] == "primary":
            reported[str(row["experiment"])].append(row)
    for facts in split:
        kind, rows = facts.experiment.split("-")[0], reported[facts.experiment]
        chance = sample_ratio(list(facts.listeners.values()), list(facts.arms.values()))
        seen[f"{kind} uneven"].append(chance < SRM_ALPHA)
        seen[f"{kind} uneven at 5 %"].append(chance < ALPHA)
        if kind == "uneven":
            seen["uneven expected"].append(_uneven_power(sum(facts.listeners.values())))
        elif kind == "several":  # adjusted for the number of arms: one chance of error for all
            seen["several reported"].append(min(float(row["p"]) for row in rows) < ALPHA)
        else:
            _compare(facts, kind, rows[0], seen)
    for preference in drafted:
        made = paired(preference.moments)
        assert made is not None
        seen["drafted fixed"].append(made.fixed.excludes_zero)
        seen["drafted always"].append(made.always.excludes_zero)
        seen["drafted signs"].append(
            sign_test(preference.prefer_control, preference.prefer_arm) < 0.05
        )
        seen["drafted coins"].append(
            sign_test(preference.first_control, preference.first_arm) < SRM_ALPHA
        )


def _compare(facts: Facts, kind: str, row: dict[str, Any], seen: Counts) -> None:
    """Count the differences that intervals of both kinds show, and those that the report names."""
    for metric in METRICS:
        arms = facts.moments[metric]
        made = compare(arms["arm0"], arms["arm1"])
        if made is None or made.difference.error == 0.0:
            continue
        seen[f"{kind} {metric} fixed"].append(made.fixed.excludes_zero)
        seen[f"{kind} {metric} always"].append(made.always.excludes_zero)
        if metric != facts.metric:
            continue
        assert abs(row["difference"] - made.difference.value) < 1e-12, "the report is the same"
        seen[f"{kind} reported"].append(row["p"] < ALPHA)
        if kind == "planted":
            effect = LIFT * TASTE[0] / sum(TASTE)
            seen["planted expected"].append(_power(effect, made.difference.error))
            seen["planted covered"].append(made.fixed.low < effect < made.fixed.high)


def _power(effect: float, error: float) -> float:
    return float(
        stats.norm.sf(1.959964 - effect / error) + stats.norm.cdf(-1.959964 - effect / error)
    )


def _uneven_power(listeners: int) -> float:
    """Return the chance that the chi-square test sees what was lost."""
    share = 1 / (2 - LOST)
    excess = listeners * 2 * (share - 0.5) ** 2 / 0.5
    return float(stats.ncx2.sf(stats.chi2.isf(SRM_ALPHA, 1), 1, excess))


def _summary(seen: Counts) -> dict[str, Any]:
    return {
        name: {
            "share": round(float(np.mean(values)), 4),
            "error": round(_error(values), 4),
            "of": len(values),
        }
        for name, values in sorted(seen.items())
        if name != "rows"
    } | {"rows of the lake": int(sum(seen["rows"]))}


def _error(values: list[float]) -> float:
    """Return the Monte-Carlo error of a share; at 0 and 1 that of one more."""
    n = len(values)
    share = min(max(float(np.mean(values)), 1 / n), 1 - 1 / n)
    return math.sqrt(share * (1 - share) / n)


def looks(runs: int = 1_000) -> dict[str, Any]:
    """Return how often each interval excludes the truth at any of twenty daily looks."""
    found: dict[str, Any] = {}
    for name, lift in (("no effect", 0.0), ("effect of 15 %", 0.15)):
        rng = np.random.default_rng(4)
        made = [look_daily(rng, lift) for _ in range(runs)]
        found[name] = {
            field: {"share": round(float(np.mean(values)), 4), "error": round(_error(values), 4)}
            for field, values in zip(Looks._fields, map(list, zip(*made, strict=True)), strict=True)
        }
    return found


def interleaving(listeners: int = 20_000, runs: int = 2_000) -> dict[str, Any]:
    """Return listeners needed for a power of 80 %, the power there, and false alarms."""
    better, equal = pool(1, listeners, (0.12, 0.06)), pool(2, listeners, (0.12, 0.12))
    two_groups, one_list = needed(better)
    rng = np.random.default_rng(3)
    n = math.ceil(one_list)

    def rate(of: list[bool]) -> dict[str, float]:
        return {"share": round(float(np.mean(of)), 4), "error": round(_error([*map(float, of)]), 4)}

    def excluding(made: Any) -> bool:
        return made is not None and bool(made.fixed.excludes_zero)

    half = math.ceil(two_groups / 2)
    turned = equal.drafted[:, [2, 3, 0, 1]]
    alarms = []
    for _ in range(runs):
        at = rng.integers(0, listeners, 500)
        coin = rng.random(500)[:, None] < 0.5
        alarms.append(np.where(coin, equal.drafted[at], turned[at]))

    return {
        "listeners by two groups": round(two_groups),
        "listeners by drafted lists": n,
        "times fewer": round(two_groups / one_list, 1),
        "power of drafted lists there": rate(
            [excluding(paired(drawn(rng, better.drafted, n))) for _ in range(runs)]
        ),
        "power of two groups there": rate(
            [
                excluding(compare(drawn(rng, better.control, half), drawn(rng, better.arm, half)))
                for _ in range(runs)
            ]
        ),
        "power of two groups of as many": rate(
            [
                excluding(
                    compare(drawn(rng, better.control, n // 2), drawn(rng, better.arm, n // 2))
                )
                for _ in range(runs)
            ]
        ),
        "false alarms by the delta method": rate(
            [excluding(paired(Moments.from_rows(rows))) for rows in alarms]
        ),
        "false alarms by the sign test": rate(
            [
                sign_test(int((r[:, 2] > r[:, 0]).sum()), int((r[:, 0] > r[:, 2]).sum())) < 0.05
                for r in alarms
            ]
        ),
    }


def offpolicy(runs: int = 300, lists: int = 600) -> dict[str, Any]:
    """Return how often bounds cover the truth, and the mean and spread of each estimate."""
    rng, found = np.random.default_rng(1), {}
    for share in (0.02, 0.2):
        for wanted in (Exploring(0.0), Exploring(0.1), Exploring(0.5), Exploring(0.3, 20)):
            refused, covered, values = 0, defaultdict(list), defaultdict(list)
            for number in range(runs):
                judged = judge(log(rng, lists, share), wanted, seed=number)
                refused += bool(judged.refusal)
                for name, value in judged.estimates.items():
                    if value.low is not None and value.high is not None:
                        covered[name].append(value.low < truth(wanted) < value.high)
                    values[name].append(value.value)
            found[f"log {share:g}, policy explore:{wanted.share:g}:{wanted.line}"] = {
                "truth": round(truth(wanted), 4),
                "refused": round(refused / runs, 4),
                **{
                    name: {
                        "covered": round(float(np.mean(covered[name])), 4),
                        "error": round(_error([*map(float, covered[name])]), 4),
                        "mean": round(float(np.mean(values[name])), 4),
                        "spread": round(float(np.std(values[name])), 4),
                    }
                    for name in NAMES
                    if covered[name]
                },
            }
    return found
