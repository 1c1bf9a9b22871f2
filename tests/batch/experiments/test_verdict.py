"""The sentences on an experiment claim no more than its bounds allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from batch.experiments.moments import Moments
from batch.experiments.verdict import OVERDUE, Facts, judge

END = datetime(2025, 3, 20)  # noqa: DTZ001  the warehouse keeps UTC without zone
EARLY = END - timedelta(days=7)
GUARDED = ("skip_rate",)


def group(rate: float, listeners: int = 400, seed: int = 0) -> Moments:
    """Return the moments of listeners with ten lists each, of which a share was played."""
    rng = np.random.default_rng(seed)
    hits = rng.binomial(10, rate, listeners)
    zero = np.zeros(listeners)
    return Moments.from_rows(np.stack([hits, zero + 10, zero, zero], axis=1))


def facts(
    control: float, arm: float, listeners: int = 400, **moments: tuple[float, float]
) -> Facts:
    """Return an experiment on hit_through; other metrics by name, control and arm."""
    rates = {"hit_through": (control, arm)} | moments
    return Facts(
        experiment="x",
        metric="hit_through",
        guardrails=GUARDED,
        arms={"old": 0.5, "new": 0.5},
        listeners={"old": listeners, "new": listeners},
        moments={
            metric: {"old": group(a, listeners, 1), "new": group(b, listeners, 2)}
            for metric, (a, b) in rates.items()
        },
        fell_back={"old": 0.0, "new": 0.0},
        seen_twice=0,
        planned_end=END,
        ended_at=None,
    )


def said(found: Facts, now: datetime = END) -> tuple[str, ...]:
    return judge(found, now).sentences


def test_no_winner_before_its_time() -> None:
    """Between the two bounds: one look at the end shows it, daily looks do not yet."""
    found = facts(0.3, 0.326)
    early, late = judge(found, EARLY), judge(found, END)
    assert "cannot be distinguished from the control yet" in early.sentences[0]
    assert early.judged[0].p is None
    assert "is better than the control" in late.sentences[0]
    assert late.judged[0].p is not None
    stopped = replace(found, ended_at=EARLY)
    assert "cannot be distinguished" in said(stopped, END + timedelta(days=1))[0]


def test_a_clear_difference_is_named_early_and_worse_is_worse() -> None:
    assert "new: hit_through is better" in said(facts(0.3, 0.5), EARLY)[0]
    assert "new: hit_through is worse" in said(facts(0.5, 0.3), EARLY)[0]
    assert "shows no difference that this experiment can detect" in said(facts(0.3, 0.3))[0]


def test_less_is_better_of_some_metrics() -> None:
    found = replace(facts(0.3, 0.3, skip_rate=(0.2, 0.4)), metric="skip_rate", guardrails=())
    assert "new: skip_rate is worse" in said(found)[0]


@pytest.mark.parametrize(
    ("skips", "says"),
    [
        ((0.2, 0.4), "the guardrail skip_rate is worse"),
        ((0.2, 0.2), "the guardrail skip_rate may be worse by more than 5 %"),
        ((0.6, 0.3), None),
    ],
)
def test_guardrails(skips: tuple[float, float], says: str | None) -> None:
    guarded = [s for s in said(facts(0.3, 0.3, skip_rate=skips)) if "guardrail" in s]
    assert len(guarded) == (says is not None)
    assert says is None or says in guarded[0]


def test_few_or_uneven_listeners_are_not_judged() -> None:
    few = judge(facts(0.3, 0.5, listeners=99), END)
    assert not few.readable
    assert "Too few listeners" in few.sentences[0]
    uneven = judge(replace(facts(0.3, 0.5), listeners={"old": 400, "new": 280}), END)
    assert not uneven.readable
    assert len(uneven.sentences) == 1


def test_what_is_left_out_is_said() -> None:
    found = replace(facts(0.3, 0.3), fell_back={"old": 0.0, "new": 0.25}, seen_twice=7)
    sentences = said(found)
    assert any("new: 25.0 % of its lists could not be made" in s for s in sentences)
    assert any("7 listeners saw lists of two arms" in s for s in sentences)


def test_an_experiment_that_runs_after_its_planned_end_is_said() -> None:
    found = facts(0.3, 0.3)
    assert said(found)[-1] == OVERDUE
    assert OVERDUE not in said(found, EARLY)
    assert OVERDUE not in said(replace(found, ended_at=END))
