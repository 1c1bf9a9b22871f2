"""The linter of our prose finds what it must, in every medium, and nothing in code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import prose


@pytest.mark.parametrize(
    ("name", "source", "line"),
    [
        ("a.md", "# Title\n\nThe worker is told.", 3),
        ("a.py", 'def f():\n    """Return what was\n    told."""\n', 3),
        ("a.py", "x = 1\n# what it was told\n", 2),
        ("a.py", 'raise ValueError(f"{x} was told to stop")\n', 1),
        ("a.html", "<p>\nYou were {{ name }} told</p>", 2),
        ("a.sql", "select 1\n-- as told by the client\n", 2),
        ("a.lua", "local x = 1 -- as told\n", 1),
    ],
)
def test_a_phrase_is_found_in_every_medium(name: str, source: str, line: int) -> None:
    (found,) = prose.find(Path(name), source)
    assert (found.line, found.phrase) == (line, "told")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.md", "```\ntold\n```\nand `told` in a span"),
        ("a.md", "<!-- prose: off -->\ntold\n<!-- prose: on -->"),
        ("a.py", "told = 1\nkey = 'told'\n"),
        ("a.py", 'query = "select told from told"\n'),
        ("a.py", 'def f():\n    """Do it.\n\n    >>> told = 1\n    """\n'),
        ("a.html", '<p class="told">{% if told %}yes{% endif %}</p>'),
        ("a.sql", "select told from plays"),
    ],
)
def test_code_does_not_count(name: str, source: str) -> None:
    assert not list(prose.find(Path(name), source))


def test_rules_fire() -> None:
    for rule in prose.rules():
        assert re.compile(rule).groups == 0, f"{rule}: use (?:...)"
    examples = "told|said|of before|is none|goes its way|stands at|stands in|a room|goes on|anew"
    for example in examples.split("|"):
        assert list(prose.find(Path("a.md"), f"It {example} x.")), example


def test_no_file_has_a_word_to_avoid() -> None:
    assert prose.every_finding() == []
