"""Names that may mean one artist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.catalogue.names import loose, pairs, similarity
from contracts.ids import normalise
from contracts.recordings import spelled


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        ("Sigur Rós", "Sigur Ros", "spelling"),
        ("Guns N' Roses", "Guns N Roses", "spelling"),
        ("Simon & Garfunkel", "Simon and Garfunkel", "spelling"),
        ("The Strokes", "Strokes", "article"),
        ("Radiohead Live", "Radiohaed Live", "typo"),  # two letters in each other's place
        ("Nine Inch Nails", "Nine Inch Nail", "typo"),
        ("Massive Attack", "Masive Attack", "typo"),
        ("blink-182 band", "blink-183 band", None),
        ("Abba", "Abbb", None),
        ("!!!", "???", None),
        ("The The", "The", None),
        ("Air", "Blur", None),
    ],
)
def test_what_makes_a_candidate(left: str, right: str, why: str | None) -> None:
    found = [reason for *_, reason in pairs({"a": left, "b": right})]
    assert found == ([] if why is None else [why])


@given(st.text(min_size=1, max_size=30))
def test_loose_forms_follow_the_normal_form(name: str) -> None:
    assert spelled(name) == spelled(normalise(name))
    assert loose(name) == loose(normalise(name))
    assert similarity(name, name) == 1.0


@given(st.lists(st.text("abcdefgh ", min_size=6, max_size=12), unique=True, max_size=25))
def test_a_pair_comes_once(names: list[str]) -> None:
    found = [frozenset((a, b)) for a, b, _ in pairs(dict(enumerate(names)))]  # type: ignore[arg-type]
    assert len(found) == len(set(found))
    assert all(len(pair) == 2 for pair in found)
