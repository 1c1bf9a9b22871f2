"""Folding of names, so that spellings of one artist or title compare equal.

All layers compare names by :func:`fold`: the keys of the model, the catalogue, search, and the
warehouse, which calls this function (:mod:`batch.fold_udf`). This file imports the standard library
only, because Snowflake runs its source as a function.

A change of the fold changes stored keys, so it must raise :data:`FOLD_VERSION`. Event ids keep the
fold of version 1 permanently (:func:`contracts.ids.event_id`).
"""

from __future__ import annotations

import unicodedata

#: 2: more quotes and dashes, variation selectors, Turkish I, fillers that look like spaces.
FOLD_VERSION = 2

# Applied before NFKC, which would split some of them: a double prime into two primes.
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02b9\u02bb\u02bc\u02bd\u2032\u2035\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u02ba\u3003\u301d\u301e\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63", "-")
    # Letters and symbols that are invisible.
    | dict.fromkeys("\u115f\u1160\u2800\u3164\uffa0", " ")
    | dict.fromkeys("\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f", None)
    | dict.fromkeys(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))), None)
)
_DOTLESS = str.maketrans("\u0131", "i")
_DROPPED = frozenset({"Cc", "Cf", "Cs"})


def fold(name: str) -> str:
    """Return a name folded: NFKC, no case, plain quotes and dashes, single spaces.

    Control and format characters are removed. "feat." and brackets stay, because removing them
    would merge different recordings. Idempotent.

    Examples
    --------
    >>> fold("  Sigur  R\u00d3S \u2018live\u2019")
    "sigur r\u00f3s 'live'"
    """
    text = unicodedata.normalize("NFKC", name.translate(_PLAIN))
    # Case folding can undo the composition, and the other way round: repeat to a fixed point.
    while True:
        folded = unicodedata.normalize("NFKC", text.casefold().translate(_PLAIN))
        folded = folded.translate(_DOTLESS).replace("i\u0307", "i")
        if not folded.isprintable():  # it has characters to remove, or other white space
            folded = "".join(
                c for c in folded if c.isspace() or unicodedata.category(c) not in _DROPPED
            )
        folded = " ".join(folded.split())
        if folded == text:
            return text
        text = folded
