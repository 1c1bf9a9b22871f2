"""Placeholders such as "Unknown Artist", which players and exports write for a missing tag.

A play with a placeholder stays in the history but is left out of charts, the model and look-ups: it
identifies no artist or song.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from contracts.ids import normalise, track_key

_BARE = ("unknown", "none", "null", "undefined", "n/a", "no artist", "no title")
_OF_ARTIST = ("unknown artist", "artist unknown", "unknown interpreter", "unbekannter interpret")
_OF_TITLE = ("unknown track", "unknown title", "unknown song", "track unknown", "untitled track")
_BRACKETS = ("{}", "<{}>", "[{}]", "({})")
#: Normalised names of no artist, and of no song. A bare "unknown" may be a band; in brackets not.
ARTISTS = frozenset(
    [form.format(name) for name in _OF_ARTIST for form in _BRACKETS]
    + [form.format(name) for name in _BARE for form in _BRACKETS[1:]]
)
TITLES = frozenset(
    [form.format(name) for name in _OF_TITLE for form in _BRACKETS]
    + [form.format(name) for name in _BARE for form in _BRACKETS[1:]]
)


def is_placeholder(artist: str, title: str) -> bool:
    """Return whether a play names no artist or no song.

    Examples
    --------
    >>> is_placeholder("Unknown Artist", "Unknown Track"), is_placeholder("Unknown", "Song")
    (True, False)
    """
    return normalise(artist) in ARTISTS or normalise(title) in TITLES


@lru_cache(maxsize=262_144)
def named_key(artist: str, title: str) -> int:
    """Return the track's key (:func:`contracts.ids.track_key`), 0 for a placeholder.

    Examples
    --------
    >>> named_key("Air", "[untitled]") == track_key("Air", "[untitled]"), named_key("", "<unknown>")
    (True, 0)
    """
    return 0 if is_placeholder(artist, title) else track_key(artist, title)


def is_visible(name: str) -> bool:
    """Return whether a name shows anything: invisible characters alone are no name.

    Examples
    --------
    >>> is_visible("!!!"), is_visible("\\u200b"), is_visible("\\u2800")
    (True, False, False)
    """
    if name.isascii() and name.isprintable() and not name.isspace():
        return bool(name)
    return any(unicodedata.category(c)[0] in "LNPS" for c in normalise(name))


def sql_names(names: frozenset[str]) -> str:
    """Return names as a list of SQL literals."""
    return ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(names))
