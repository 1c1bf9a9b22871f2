"""No name of a track becomes a formula in a CSV that a person opens."""

from __future__ import annotations

import pytest

from contracts.spreadsheet import formula_safe


@pytest.mark.parametrize("first", [*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20"])
def test_what_begins_like_a_formula_is_text(first: str) -> None:
    assert formula_safe(f"{first}1+1") == f"'{first}1+1"


@pytest.mark.parametrize("text", ["", "Air", "a=b", " =1"])
def test_other_text_stays(text: str) -> None:
    assert formula_safe(text) == text
