"""The registry of workers is complete, and each entry starts something real."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

import pytest

from contracts import workers
from contracts.topics import Topics
from contracts.workers import BY_NAME, CORE_FOLDS, SNOWFLAKE_SINK, WORKERS, WorkerSpec, wanted
from infra.cli.commands.worker import entry


def test_every_worker_that_is_defined_is_listed_once() -> None:
    defined = [spec for _, spec in inspect.getmembers(workers, lambda x: isinstance(x, WorkerSpec))]
    assert sorted(spec.name for spec in defined) == sorted(BY_NAME)
    assert len(WORKERS) == len(BY_NAME)


@pytest.mark.parametrize("spec", WORKERS, ids=lambda spec: spec.name)
def test_its_module_exists(spec: WorkerSpec) -> None:
    found = importlib.util.find_spec(spec.module)
    assert found is not None
    assert found.origin is not None
    assert "def run(" in Path(found.origin).read_text() or spec.module == "infra.simulator"


def test_the_command_finds_what_runs_a_worker() -> None:
    assert entry("eraser").__module__ == BY_NAME["eraser"].module


def test_the_snowflake_sink_runs_only_where_an_account_is_named() -> None:
    assert SNOWFLAKE_SINK not in wanted({})
    assert SNOWFLAKE_SINK not in wanted({"SEGUE_SNOWFLAKE_ACCOUNT": ""})
    assert SNOWFLAKE_SINK in wanted({"SEGUE_SNOWFLAKE_ACCOUNT": "myorg-me"})


def test_readiness_waits_for_the_folds_of_every_deployment() -> None:
    assert CORE_FOLDS == ("listeners", "learner", "lake-sink", "history-sink")


def test_a_worker_names_its_topics_in_a_namespace() -> None:
    assert BY_NAME["listeners"].topics(Topics("s")) == ("s.plays", "s.feedback")
