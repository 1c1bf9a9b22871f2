"""Reading the audit trail and recomputing its chain."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

_COLUMNS = (
    "seq, at, actor, action, subject, origin, outcome, detail, previous, hash"  # in hashing order
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 5000

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    origin: str
    outcome: str
    detail: str
    previous: bytes
    hash: bytes

    def expected(self) -> bytes:
        """Return the hash this row should have, from its own fields."""
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        parts = [
            str(self.seq), str(micros), self.actor, self.action, self.subject, self.origin,
            self.outcome, self.detail,
        ]  # fmt: skip
        text = ",".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(self.previous + text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole chain found.

    Attributes
    ----------
    problems
        What is wrong, one line each, with the number of the row; empty when the trail is whole.
    head
        ``seq:hash`` of the last row. Kept elsewhere, it proves later that no rows were taken off
        the end, which no chain can show by itself.
    """

    rows: int
    head: str
    problems: list[str]


def here() -> str:
    """Return the origin of what a command on this machine does."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli"


def rows(connection: Connection, after: int = 0) -> Iterator[Row]:
    """Yield every row after a number, in order."""
    while True:
        page = connection.execute(
            f"select {_COLUMNS} from audit where seq > %s order by seq limit {_PAGE}",  # noqa: S608
            (after,),
        ).fetchall()
        for values in page:
            yield Row(*values)
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def verify(found: Iterator[Row], *noted: str) -> Verdict:
    """Recompute the chain.

    Parameters
    ----------
    noted
        Heads noted earlier: their rows must still be there, unchanged.
    """
    problems: list[str] = []
    count, last, before = 0, 0, b""
    heads: dict[int, set[str]] = {}
    for each in noted:
        heads.setdefault(int(each.partition(":")[0]), set()).add(each)
    for row in found:
        count += 1
        if row.seq != last + 1:
            gap = f"row {last + 1}" if row.seq == last + 2 else f"rows {last + 1} to {row.seq - 1}"
            problems.append(f"{gap} missing")
        elif row.previous != before:
            problems.append(f"row {row.seq} does not follow row {last}: one was put in its place")
        if row.expected() != row.hash:
            problems.append(f"row {row.seq} was altered")
        if heads.pop(row.seq, {_head(row)}) != {_head(row)}:
            problems.append(f"row {row.seq} is not the one that was noted")
        last, before, head = row.seq, row.hash, _head(row)
    if missing := [row for row in heads if row > last]:
        problems.append(f"row {min(missing)} and what followed are missing at the end")
    return Verdict(count, head if count else "0:", problems)


def _head(row: Row) -> str:
    return f"{row.seq}:{row.hash.hex()}"


def names(connection: Connection) -> dict[str, str]:
    """Return ``pseudonym -> name`` of the existing accounts; erased ones have no name."""
    return dict(connection.execute("select pseudonym(user_id), user_id from accounts").fetchall())
