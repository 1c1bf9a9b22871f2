"""Finds the artists or tracks whose names have some words, in the order of a search.

First a name that is the text searched for, then names that begin with it, then other names with
all the words; each group in order of popularity. The best-known rows are read first: mostly they
fill the page. If they do not, few rows match, and an index finds those at little cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from api.catalogue.answers import CARD
from api.catalogue.reading import Ask, Rows

#: How many of the best-known rows are read first. Of a million tracks, reading 4,000 costs as much
#: as looking up the matches of a query that does not fill a page among them (`segue bench search`).
BEST_KNOWN = 4_000
#: Beginnings of one letter and two are lexemes of their own (0061_search.sql). As a prefix search
#: they would make GIN read a tenth of all words.
_HEAD = 2

_SAME = """
    select {columns} from {cards} c where search_text collate "C" = %(text)s
    order by popularity desc, {id} limit %(need)s
"""
_KNOWN = """
    select {columns}, starts_with(search_text, %(text)s) as begins
    from (
        select * from {cards}
        order by popularity desc, search_text, {id} limit %(best_known)s
    ) c
    where words @@ %(words)s::tsquery
    order by begins desc, popularity desc, search_text, {id} limit %(need)s
"""
# Materialized: else PostgreSQL may walk through all rows by popularity until the limit is reached.
_INDEXED = """
    with found as materialized (select * from {cards} where {condition})
    select {columns} from found c
    order by popularity desc, search_text, {id} limit %(need)s
"""
_BEGINS = 'search_text collate "C" >= %(text)s and search_text collate "C" < %(beyond)s'


class Kind(NamedTuple):
    """What is searched: a view, its key, what is shown of a row, and the indexed condition."""

    cards: str
    id: str
    columns: str
    matches: str

    def _statement(self, text: str, condition: str = "") -> str:
        return text.format(cards=self.cards, id=self.id, columns=self.columns, condition=condition)

    def same(self) -> str:
        """Return the query for names that are the text."""
        return self._statement(_SAME)

    def known(self) -> str:
        """Return the query among the best-known names that have the words."""
        return self._statement(_KNOWN)

    def beginning(self) -> str:
        """Return the query for names that begin with the text."""
        return self._statement(_INDEXED, _BEGINS)

    def matching(self) -> str:
        """Return the query for names with the words."""
        return self._statement(_INDEXED, self.matches)


ARTISTS = Kind(
    cards="catalogue_artist_cards_v1",
    id="artist_id",
    columns="c.artist_id, c.name, c.popularity",
    matches="words @@ %(words)s::tsquery",
)
TRACKS = Kind(
    cards="catalogue_track_cards_v1",
    id="track_id",
    columns=CARD,
    matches="catalogue_words(search_text) @@ %(forms)s::tsquery",
)


class Sought(msgspec.Struct, frozen=True):
    """What the statements are asked with.

    Attributes
    ----------
    need
        Rows from the first on, plus one that shows whether another page follows.
    best_known
        How many of the best-known rows are read; changes no answer.
    """

    text: str
    beyond: str
    words: str
    forms: str
    need: int
    best_known: int


def sought(text: str, need: int, best_known: int = BEST_KNOWN) -> Sought:
    """Return the arguments for a text as :func:`contracts.search.search_text` makes it."""
    words = text.split()
    return Sought(
        text=text,
        beyond=text + chr(0x10FFFF),
        words=word_query(words),
        forms=word_query(words, _HEAD),
        need=need,
        best_known=best_known,
    )


async def find(ask: Ask, kind: Kind, what: Sought) -> Rows:
    """Return the first ``what.need`` rows."""
    given = msgspec.structs.asdict(what)
    same = await ask(kind.same(), given)
    known = await ask(kind.known(), given)
    begin = [row[:-1] for row in known if row[-1]]
    match = [row[:-1] for row in known if not row[-1]]
    if len(begin) < what.need:
        begin = await ask(kind.beginning(), given)
        if max(len(begin), len(known)) < what.need:
            match = await ask(kind.matching(), given)
    return _distinct([*same, *begin, *match])[: what.need]


def _distinct(rows: Iterable[Sequence[Any]]) -> Rows:
    """Drop later rows with the key (the first column) of an earlier one."""
    found: dict[Any, tuple[Any, ...]] = {}
    for row in rows:
        found.setdefault(row[0], tuple(row))
    return list(found.values())


def word_query(words: list[str], heads: int = 0) -> str:
    """Return the words as a text-search query: every one must begin a word.

    Parameters
    ----------
    heads
        Words of so many letters or fewer are asked for as the lexemes of beginnings.

    Examples
    --------
    >>> word_query(["o'neal", "b"])
    "'o''neal':* & 'b':*"
    >>> word_query(["o'neal", "b"], heads=2)
    "'o''neal':* & '^b'"
    """
    quoted = [word.replace("\\", "\\\\").replace("'", "''") for word in words]
    return " & ".join(
        f"'^{text}'" if len(word) <= heads else f"'{text}':*"
        for word, text in zip(words, quoted, strict=True)
    )
