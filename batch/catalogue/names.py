"""Names that may mean the same artist: looser than identity, and only ever a suggestion."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from contracts.ids import normalise
from contracts.recordings import spelled

#: Shorter loose names differ by one letter too often to mean anything ("abba", "abby").
_SHORTEST_TYPO = 8
_DIGITS = re.compile(r"\d+")


def loose(name: str) -> str:
    """Return :func:`contracts.recordings.spelled` without a leading article.

    Examples
    --------
    >>> loose("The Strokes")
    'strokes'
    """
    plain = normalise(name)
    return spelled(plain.removeprefix("the ")) if plain != "the the" else spelled(plain)


def similarity(left: str, right: str) -> float:
    """Return how alike two names are, 0 .. 1, over their normal forms."""
    return SequenceMatcher(None, normalise(left), normalise(right), autojunk=False).ratio()


def pairs(names: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield ``(key, key, why)`` of names that may be one, each pair once.

    Work is linear in the names: names meet only in a bucket of equal loose forms, or of equal
    forms with one letter left out.

    Parameters
    ----------
    names
        ``key -> name``; keys of different names.

    Yields
    ------
    tuple
        ``why`` is ``spelling`` (accents, punctuation, spaces), ``article`` or ``typo``.
    """
    by_loose: dict[str, list[str]] = defaultdict(list)
    for key, name in names.items():
        by_loose[loose(name)].append(key)
    for group in by_loose.values():
        for index, left in enumerate(group):
            for right in group[index + 1 :]:
                same = spelled(names[left]) == spelled(names[right])
                yield left, right, "spelling" if same else "article"
    yield from _typos(by_loose)


def _typos(by_loose: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    buckets: dict[str, list[str]] = defaultdict(list)
    for form in by_loose:
        if len(form) >= _SHORTEST_TYPO:
            for gap in {form[:i] + form[i + 1 :] for i in range(len(form))} | {form}:
                buckets[gap].append(form)
    met: set[tuple[str, str]] = set()
    for forms in buckets.values():
        for index, left in enumerate(forms):
            for right in forms[index + 1 :]:
                pair = (min(left, right), max(left, right))
                # "blink 182" and "blink 183" are two bands: numbers are not typed wrongly.
                if pair in met or _DIGITS.findall(left) != _DIGITS.findall(right):
                    continue
                met.add(pair)
                yield by_loose[left][0], by_loose[right][0], "typo"
