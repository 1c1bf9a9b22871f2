"""Text that is safe in a spreadsheet, for every CSV that people open."""

from __future__ import annotations

#: What a formula begins with, in ASCII and full width, and white space that programs skip first.
_BEGINS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def formula_safe(text: str) -> str:
    """Return a text that no spreadsheet runs: anybody may name a track like a formula.

    Examples
    --------
    >>> formula_safe("=1+1"), formula_safe("Air")
    ("'=1+1", 'Air')
    """
    return f"'{text}" if text[:1] in _BEGINS else text
