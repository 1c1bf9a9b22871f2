"""The table of properties names tests that exist, and the page is the table."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.reliability import GROUPS, PAGE, ROOT, Property, render

PROPERTIES = [each for group in GROUPS.values() for each in group]


@cache
def functions_of(path: Path) -> dict[str, list[str]]:
    """Return the names of the tests of a file with the text of their decorators."""
    tree = ast.parse(path.read_text())
    marks = [
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    return {
        node.name: [*marks, *map(ast.unparse, node.decorator_list)]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_none_is_forgotten() -> None:
    assert len(PROPERTIES) == 53


@pytest.mark.parametrize("each", PROPERTIES, ids=lambda each: each.text[:50])
def test_a_property_is_shown_by_tests_that_exist(each: Property) -> None:
    """A test that was renamed or removed takes its property along, and that must be seen."""
    marks: list[str] = []
    for test in each.tests:
        file, _, name = test.partition("::")
        found = functions_of(ROOT / "tests" / file)
        assert name in found, f"{test} is gone"
        assert not any("mark.skip(" in mark for mark in found[name])
        marks += found[name]
    assert each.tests or each.missing
    if each.kafka:
        assert any("each_broker" in mark or "mark.kafka" in mark for mark in marks)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "run `make pages`"
