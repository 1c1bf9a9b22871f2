"""The examples in docstrings, and in the model's README, do what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("contracts", "online_model", "streams", "batch", "api", "web", "infra")


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = [
    module_name(path)
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0


def test_examples_of_the_readme() -> None:
    result = doctest.testfile(str(ROOT / "online_model" / "README.md"), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 0
