"""Words of names as search compares them: written by the catalogue, asked for by the API."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from contracts.ids import normalise

#: Letters that look like an accented one and do not decompose into it.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th",
                        "ı": "i"})  # fmt: skip
_SILENT = str.maketrans("", "", "'`´.")
#: No word anybody types is longer; PostgreSQL refuses those above 2 kB.
_LONGEST = 60


def search_text(*names: str) -> str:
    """Return the words of names: no case, accents or punctuation, one space between.

    A name of punctuation alone keeps it, as one word.

    Examples
    --------
    >>> search_text("Sigur Rós"), search_text("AC/DC", "Don't Stop"), search_text("!!!")
    ('sigur ros', 'ac dc dont stop', '!!!')
    """
    return " ".join(" ".join(_words(name)) for name in names).strip()


@lru_cache(maxsize=65_536)
def _words(name: str) -> tuple[str, ...]:
    plain = normalise(name).translate(_SILENT)
    text = unicodedata.normalize("NFKD", plain.replace("&", " and ").translate(_PLAIN))
    bare = "".join(c for c in text.casefold() if not unicodedata.combining(c))
    found = "".join(c if c.isalnum() else " " for c in bare).split()
    return tuple(word[:_LONGEST] for word in found or normalise(name).split())
