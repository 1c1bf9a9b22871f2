"""``segue worker`` and what the supervisor prints."""

from __future__ import annotations

import re

import pytest

from contracts.errors import ConfigurationError
from infra.cli.commands.worker import MODULES, entry
from infra.stack.banner import calls, catalogue_calls
from infra.stack.progress import FOLDERS
from infra.stack.stack import SNOWFLAKE_SINK, WORKERS, workers


def test_an_unknown_worker_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no worker named 'lerner'.*learner"):
        entry("lerner")


def test_every_worker_of_the_stack_has_a_module() -> None:
    assert set(FOLDERS) | {"api"} == set(WORKERS)
    assert {*WORKERS, SNOWFLAKE_SINK, "simulator", "eraser"} == set(MODULES)


def test_the_examples_name_every_main_call_and_hide_the_token() -> None:
    shown = calls("http://127.0.0.1:1") + catalogue_calls("http://127.0.0.1:1")
    text = "\n".join(command for _, command in shown)
    for path in ("plays", "recommendations", "similar", "trending", "submit-listens", "reports"):
        assert re.search(rf"http://127\.0\.0\.1:1/\S*{path}", text), path
    assert text.count("$TOKEN") == len(shown)


def test_the_snowflake_sink_runs_only_where_an_account_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEGUE_SNOWFLAKE_ACCOUNT", raising=False)
    assert workers() == WORKERS
    monkeypatch.setenv("SEGUE_SNOWFLAKE_ACCOUNT", "myorg-me")
    assert workers() == (*WORKERS, SNOWFLAKE_SINK)
