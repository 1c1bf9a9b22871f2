"""An experiment from its definition to the arms in the lake, on the whole stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner, Result

from batch.experiments.landing import experiment_arms
from contracts.experiments import arm_of, definition_of
from infra.cli.commands import experiment
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration

Command = Callable[..., Result]
USERS = [f"tried-{n}" for n in range(12)]


@pytest.fixture
def segue(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``segue experiment ...`` against the stack; errors come as the command's output."""
    monkeypatch.setattr(experiment, "running", lambda home: stack)

    def run(*words: str) -> Result:
        return CliRunner().invoke(experiment.app, list(words))

    return run


def ask(stack: RunningStack, path: str) -> Any:
    headers = {"authorization": f"Token {stack.admin_token}"}
    return httpx.get(f"{stack.api}{path}", headers=headers, timeout=60).json()


def arms_shown(stack: RunningStack) -> dict[str, set[str]]:
    """Return the arms in the lake by listener."""
    path = str(stack.settings.paths.lake / "impressions")
    if not DeltaTable.is_deltatable(path):
        return {}
    rows = DeltaTable(path).to_pyarrow_table(columns=["user_id", "arm"]).to_pylist()
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["user_id"] in USERS:
            found.setdefault(row["user_id"], set()).add(row["arm"])
    return found


def test_an_experiment_is_defined_run_and_ended(stack: RunningStack, segue: Command) -> None:
    wrong = segue("create", "bold", "--hypothesis", "x", "--arm", "control=0.5", "--arm", "b=0.4")
    assert wrong.exit_code != 0
    assert "must add up to 1" in str(wrong.exception)
    arms = ("--arm", "control=0.5", "--arm", "bold=0.5,explore_share=1.0")
    made = segue("create", "bold", "--hypothesis", "Bolder lists are played more.", *arms)
    assert made.exit_code == 0, made.output
    assert segue("create", "bold", "--hypothesis", "Again.", *arms).exit_code != 0, "key is taken"
    assert ask(stack, "/v1/experiments/bold")["experiment"]["state"] == "draft"

    assert segue("start", "bold").exit_code == 0
    assert "was started before" in str(segue("start", "bold").exception)
    assert segue("create", "other", "--hypothesis", "Other.", *arms).exit_code == 0
    refused = segue("start", "other")
    assert refused.exit_code != 0
    assert "'bold' runs in layer 'lists'" in str(refused.exception)

    shown = ask(stack, "/v1/experiments/bold")
    definition = definition_of(httpx.Response(200, json=shown["experiment"]["definition"]).content)
    expected = {u: f"bold={arm.name}" for u in USERS if (arm := arm_of(definition, u)) is not None}
    assert set(expected.values()) == {"bold=control", "bold=bold"}

    def all_take_part() -> bool:
        for user in USERS:
            ask(stack, f"/v1/users/{user}/recommendations")
        seen = arms_shown(stack)
        return all(arm in seen.get(user, ()) for user, arm in expected.items())

    assert wait_until(all_take_part, 90)
    assert all(arms <= {"default", expected[u]} for u, arms in arms_shown(stack).items())

    landed = experiment_arms(stack.settings)
    assert landed is not None
    names = {(row["experiment"], row["arm"]) for row in landed.to_pylist()}
    assert ("bold", "control") in names
    assert not any(experiment == "other" for experiment, _ in names), "a draft is not landed"

    assert segue("stop", "bold").exit_code == 0
    assert "does not run" in str(segue("stop", "bold").exception)
    assert segue("start", "other").exit_code == 0, "the layer is free"
    assert segue("stop", "other").exit_code == 0
    assert segue("clone", "bold", "bold-2").exit_code == 0
    listed = segue("list").stdout
    assert "bold-2" in listed
    assert "ended" in listed
    trail = [row["action"] for row in ask(stack, "/v1/audit?limit=50")["rows"]]
    assert {"experiment.create", "experiment.start", "experiment.stop"} <= set(trail)
