"""``segue repartition`` names the lag of both sides, and cleans what the environment names."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.settings import Settings
from infra.cli.commands import repartition as command
from infra.cli.main import cli
from infra.operations.repartition import clean, run
from infra.operations.repartition.clean import Cleaned
from infra.operations.repartition.run import Copied
from infra.stack.progress import Lag

ASKED = ["repartition", "--namespace", "segue2", "--partitions", "8"]


def runs_with(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Have a stack run with these settings."""
    monkeypatch.setattr(command, "running", lambda _: SimpleNamespace(settings=settings))


def test_the_lag_of_the_old_and_of_the_new_workers_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs_with(monkeypatch, Settings())
    monkeypatch.setattr(run, "repartition", lambda *_, **__: [Copied("segue2.plays", 3, 1)])
    lags = {("segue", 4): [], ("segue2", 8): [Lag("learner", 1200), Lag("listeners", None)]}
    monkeypatch.setattr(command, "unapplied", lambda s: lags[s.namespace, s.partitions])
    said = CliRunner().invoke(cli, ASKED).stdout
    assert "segue2.plays: 3 copied, 1 erased or refused" in said
    assert "workers of segue: no lag\n" in said
    assert "workers of segue2: learner 1,200 messages, listeners has not reported\n" in said


def test_the_environment_names_the_namespace_that_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stack of segue up already runs with the new settings."""
    new = replace(Settings(), namespace="segue2", partitions=8, postgres_schema="old", kafka="k:1")
    runs_with(monkeypatch, new)
    monkeypatch.setenv("SEGUE_NAMESPACE", "old")
    monkeypatch.setenv("SEGUE_PARTITIONS", "2")
    asked: list[Any] = []

    def cleaning(source: Settings, *to: Any, **_: Any) -> Cleaned:
        asked.extend([source, *to])
        return Cleaned(["old.plays"], 1234)

    monkeypatch.setattr(clean, "clean", cleaning)
    found = CliRunner().invoke(cli, [*ASKED, "--clean"])
    assert "deleted 1 topics and 1,234 Redis keys" in found.stdout, found.output
    assert asked == [replace(new, namespace="old", partitions=2), "segue2", 8]
