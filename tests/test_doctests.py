"""The examples in docstrings, and in the model's README, do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import contracts
import online_model

MODULES = [
    module.name
    for package in (contracts, online_model)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]
README = Path(online_model.__path__[0]) / "README.md"


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_of_the_readme() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 0
