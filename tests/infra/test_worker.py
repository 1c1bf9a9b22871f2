"""``segue worker`` and what the supervisor prints."""

from __future__ import annotations

import re

import pytest

from contracts.errors import ConfigurationError
from infra.cli.commands.worker import entry
from infra.stack.banner import calls, catalogue_calls


def test_an_unknown_worker_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no worker named 'lerner'.*learner"):
        entry("lerner")


def test_the_examples_name_every_main_call_and_hide_the_token() -> None:
    shown = calls("http://127.0.0.1:1") + catalogue_calls("http://127.0.0.1:1")
    text = "\n".join(command for _, command in shown)
    for path in ("plays", "recommendations", "similar", "trending", "submit-listens", "reports"):
        assert re.search(rf"http://127\.0\.0\.1:1/\S*{path}", text), path
    assert text.count("$TOKEN") == len(shown)
