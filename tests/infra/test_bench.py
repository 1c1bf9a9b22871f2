"""`segue bench`: the function of a benchmark is its command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.commands import bench


def test_every_benchmark_says_what_it_measures() -> None:
    for module, function in bench.BENCHMARKS.values():
        assert bench._summary(module, function).endswith("."), module


def measure(
    file: Path, sizes: Sequence[int] = (3, 4), *, broker: str = "x", fast: bool = False
) -> dict[str, Any]:
    """Measure nothing.

    Parameters
    ----------
    file
        That is read.
    """
    return {"file": file.name, "sizes": sizes, "broker": broker, "fast": fast, "ok": not fast}


def test_positional_parameters_are_arguments_and_the_others_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "_load", lambda name: SimpleNamespace(run=measure))

    def run(*words: str) -> Any:
        return CliRunner().invoke(bench.app, ["freshness", *words])

    done = run("a.csv", "--broker", "kafka")
    assert json.loads(done.stdout) == {
        "benchmark": "freshness", "file": "a.csv", "sizes": [3, 4], "broker": "kafka",
        "fast": False, "ok": True,
    }  # fmt: skip
    assert json.loads(run("a.csv", "7", "--broker", "kafka").stdout)["sizes"] == [7]
    assert run("a.csv", "--broker", "kafka", "--fast").exit_code == 1
    assert run().exit_code == 2
    assert "That is read." in run("--help").stdout
