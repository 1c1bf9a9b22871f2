"""`segue experiment create`: which options fit together, before anything is sent to the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.errors import ConfigurationError
from contracts.experiments import METRICS, definition_of
from infra.cli.commands import experiment

ARMS = ("--arm", "control=0.5", "--arm", "varied=0.5,diversity=0.4")
GOOD = ("--hypothesis", "More variety, more plays.", *ARMS)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be sent to the API."""
    bodies: list[dict[str, Any]] = []
    monkeypatch.setattr(
        experiment, "_call", lambda home, method, path, body=None: bodies.append(body)
    )
    return bodies


def create(*words: str) -> str:
    """Return the error of a command, or nothing."""
    error = CliRunner().invoke(experiment.app, ["create", "varied", *words]).exception
    assert error is None or isinstance(error, (ConfigurationError, SystemExit)), error
    return "" if error is None else str(error)


def test_options_become_a_definition(sent: list[dict[str, Any]], tmp_path: Path) -> None:
    assert create(*GOOD) == ""
    assert create(*GOOD, "--interleave") == ""
    file = tmp_path / "varied.json"
    file.write_text(json.dumps(sent[0] | {"key": "other"}))
    assert create("--file", str(file)) == ""
    split, interleaved, read = (definition_of(json.dumps(body)) for body in sent)
    assert (split.metric, split.layer, split.share) == ("hit_through", "lists", 1.0)
    assert (interleaved.design, interleaved.metric) == ("interleaved", "preference")
    assert read == split


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*GOOD, "--interleave", "--metric", "skip_rate"), "--interleave sets --metric itself"),
        (
            (*GOOD, "--interleave", "--layer", "a", "--guardrail", "degraded"),
            "sets --guardrail, --layer itself: leave --guardrail, --layer out",
        ),
        (("--file", "x.json", *ARMS, "--days", "3"), "leave --arm, --days out, or --file"),
        (("--file", "x.json", "--interleave"), "leave --interleave out"),
        (("--file", "missing.json"), "missing.json"),
        ((*GOOD, "--arm", "b"), "--arm b: write NAME=WEIGHT"),
        ((*GOOD, "--arm", "b=0.1,diversity"), "'diversity' is not override=value"),
        ((*GOOD, "--arm", "b=0.1,diversity=.4"), "is not override=value"),
        ((*GOOD, "--arm", "b=0.1,diversity=0.4,diversity=0.5"), "diversity is given twice"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    sent: list[dict[str, Any]], words: tuple[str, ...], message: str
) -> None:
    assert message in create(*words)
    assert sent == []


def test_a_number_that_json_does_not_have_is_refused() -> None:
    assert "not a finite number" in create(*GOOD, "--share", "nan")
    assert "not a finite number" in create(*GOOD, "--arm", "c=inf")


def test_no_metric_is_cut_at_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = dict.fromkeys(("control_value", "arm_value", "difference", "low", "high"), -99.5)
    rows = [
        {"arm": arm, "metric": metric, "role": "guardrail", **figures}
        for arm in ("varied", "bold")
        for metric in METRICS
    ]
    definition = {"hypothesis": "More variety.", "arms": [{"name": "control"}]}
    answer = {
        "experiment": {"state": "running", "definition": definition},
        "judged_at": "2026-11-27T02:30:00+00:00",
        "verdict": ["No difference yet."],
        "comparisons": rows,
    }
    monkeypatch.setattr(experiment, "_call", lambda *_: answer)
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(experiment.app, ["show", "varied"]).output
    assert "varied against control:" in shown
    for metric in METRICS:
        assert [line.split()[0] for line in shown.splitlines() if metric in line] == [metric] * 2
    assert shown.count("-99.5000") == 5 * len(rows)
    assert max(map(len, shown.splitlines())) <= 80
