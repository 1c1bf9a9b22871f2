"""Which recording the names of a play mean: looser than identity, for looking a track up.

Players write one recording in many ways: guests in the artist or in the title, the year of a
remaster, no accents. :func:`contracts.ids.track_id` guesses nothing, because a play's id must never
merge two recordings; a look-up may, since it shows what is known and changes nothing. What makes
another recording stays: live, acoustic, remix, edit, demo, instrumental.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b

from contracts.ids import normalise

#: Version of :func:`recording_number`, whose values are stored; a change of names folded raises it.
KEY_VERSION = 2

_GUESTS = r"(?:feat(?:\.|uring)?|ft\.?)\s+"
_YEAR = r"(?:19|20)\d\d"
# The same recording again: remastered, in another edition, with bad language left in.
_SAME = (
    rf"(?:{_YEAR}\s+)?(?:digital(?:ly)?\s+)?re-?master(?:ed|ing)?"
    rf"(?:\s+(?:version|edition|in|{_YEAR}))*|(?:album|original album|explicit|lp)\s+version"
    r"|explicit|bonus\s+track"
)
_BRACKETED_GUESTS = re.compile(rf"\s*[(\[]\s*{_GUESTS}[^)\]]*[)\]]")
_OPEN_GUESTS = re.compile(rf"\s+{_GUESTS}.*?(?=\s+[-(\[]|$)")
_NOTE = re.compile(rf"\s*(?:[(\[]\s*(?:{_SAME})\s*[)\]]|\s-\s+(?:{_SAME}))$")


@lru_cache(maxsize=65_536)
def spelled(name: str) -> str:
    """Return a name without accents, punctuation and spaces, "&" read as "and".

    A name of nothing else keeps its normal form.

    Examples
    --------
    >>> spelled("Sigur Rós") == spelled("Sigur-Ros"), spelled("!!!")
    (True, '!!!')
    """
    plain = normalise(name)
    text = unicodedata.normalize("NFKD", plain.replace("&", " and ")).casefold()
    kept = "".join(c for c in text if c.isalnum())
    return kept or plain


@lru_cache(maxsize=65_536)
def recording_key(artist: str, title: str) -> str:
    """Return a text that is equal for names that mean one recording.

    Examples
    --------
    >>> recording_key("Beyoncé feat. JAY-Z", "Crazy In Love") == recording_key(
    ...     "Beyonce", "Crazy in Love (feat. Jay-Z) - 2009 Remaster")
    True
    >>> recording_key("Air", "Run") == recording_key("Air", "Run (Live)")
    False
    """
    return f"{spelled(_without_guests(artist))}\x1f{spelled(_without_notes(title))}"


@lru_cache(maxsize=262_144)
def recording_number(artist: str, title: str) -> int:
    """Return :func:`recording_key` as a signed 64-bit number, as PostgreSQL stores it."""
    digest = blake2b(recording_key(artist, title).encode(), digest_size=8, person=b"recording")
    return int.from_bytes(digest.digest(), "big", signed=True)


def _without_guests(name: str) -> str:
    plain = normalise(name)
    return _OPEN_GUESTS.sub("", _BRACKETED_GUESTS.sub("", plain)).strip() or plain


def _without_notes(title: str) -> str:
    plain = _without_guests(title)
    while (shorter := _NOTE.sub("", plain).strip()) != plain and shorter:
        plain = shorter
    return plain
