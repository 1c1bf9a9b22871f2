"""One thing to verify on a Snowflake account: statements, and a judge of their answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
#: Rows, by column in lower case, to what is wrong; empty when nothing is.
Judge = Callable[[list[Row]], str]


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to verify.

    Attributes
    ----------
    sql
        Statements, run in order; the rows of the last are judged.
    real_only
        No emulation answers it.
    """

    name: str
    sql: tuple[str, ...]
    judge: Judge
    real_only: bool = False


def is_none(value: Any) -> bool:
    """Whether a value of ``show`` or ``describe`` means that there is none."""
    return value in (None, "", "null")


def none_of(column: str, words: str) -> Judge:
    """Return a judge of one row whose count must be 0."""

    def judge(rows: list[Row]) -> str:
        return f"{rows[0][column]} {words}" if rows[0][column] else ""

    return judge
