"""How two reports of one event become one row, written once for Python and for PostgreSQL.

The sink merges the reports of one batch in Python and merges them with stored rows in SQL. Both use
:data:`FILLS`, and a test compares the two on random reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Fill(NamedTuple):
    """How one column of two reports of the same event is merged.

    Attributes
    ----------
    merge
        Function ``merge(known, later)``: the stored and the later value -> the merged value.
    sql
        The same as an SQL expression with the placeholders ``{known}`` and ``{later}``.
    """

    merge: Callable[[Any, Any], Any]
    sql: str


def _least(known: Any, later: Any) -> Any:
    return min((value for value in (known, later) if value is not None), default=None)


def _greatest(known: Any, later: Any) -> Any:
    return max((value for value in (known, later) if value is not None), default=None)


#: The first value that is known.
FIRST = Fill(lambda known, later: later if known is None else known, "coalesce({known}, {later})")
#: The least value that is known: it does not depend on who came first.
LEAST = Fill(_least, "least({known}, {later})")
#: The greatest value that is known.
GREATEST = Fill(_greatest, "greatest({known}, {later})")
#: All values of both, sorted.
UNION = Fill(
    lambda known, later: sorted({*known, *later}),
    'array(select distinct c collate "C" as c from unnest({known} || {later}) as u(c) order by c)',
)

#: Column of a play -> how it is merged when the event is reported again; other columns stay.
#: Start, lengths and skip decide which plays are one, so they must not depend on who came first.
FILLS: dict[str, Fill] = {
    "played_at": LEAST,
    "album": FIRST,
    "ms_played": GREATEST,
    "duration_ms": LEAST,
    "skipped": LEAST,
    "extra": FIRST,
    "name_key": FIRST,
    "clients": UNION,
}


def expressions(known: str, later: str) -> dict[str, str]:
    """Return ``column -> SQL`` that merges the row `later` into the row `known`.

    Examples
    --------
    >>> expressions("known", "reported")["album"]
    'coalesce(known.album, reported.album)'
    """
    return {
        column: fill.sql.format(known=f"{known}.{column}", later=f"{later}.{column}")
        for column, fill in FILLS.items()
    }
