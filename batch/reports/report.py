"""What a report is: facts, figures and tables, drawn from the warehouse as of one lake version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from batch.ask import Ask

#: Time zone of the days and hours in reports, which count listeners of all zones together. The
#: statistics of one listener follow the zone of the account.
ZONE = "UTC"
Cell = str | int | float | date | datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: ``key`` in JSON and CSV, ``label`` for people.

    Attributes
    ----------
    form
        How people read its numbers: ``"count"`` (whole), ``"tenths"``, ``"thousandths"`` or
        ``"percent"`` of a share; ``"name"`` for an identifier, which is not broken over lines;
        empty for words and dates.
    """

    key: str
    label: str
    form: str = ""

    @property
    def css(self) -> str:
        """The class of its cells on a page."""
        return self.form if self.form in {"", "name"} else "number"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; ``len(row) == len(columns)`` for every row."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]

    def records(self) -> list[dict[str, Cell]]:
        """Return one dictionary a row."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot: SVG markup without XML prologue, and the sentence beneath it."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Report:
    """One rendered answer, before it becomes HTML, CSV, JSON or Parquet.

    Attributes
    ----------
    facts
        A few figures that answer the question at a glance: label -> value.
    tables
        The first one is what CSV and Parquet hold.
    """

    name: str
    title: str
    summary: str
    facts: dict[str, Cell]
    figures: list[Figure]
    tables: list[Table]
    generated_at: datetime
    lake_version: int | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NightSummary:
    """Summary of a nightly run in a report; times in seconds."""

    run: str
    status: str
    seconds: float | None
    slowest_step: str
    peak_mb: int | None
    plays: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and from what a report is drawn.

    Attributes
    ----------
    today
        Reports look back from this day (UTC), which makes a past one reproducible.
    nights
        The runs on record, newest first.
    """

    today: date
    generated_at: datetime
    lake_version: int | None = None
    nights: tuple[NightSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A report people can ask for by name."""

    name: str
    description: str
    draw: Callable[[Ask, Occasion], Report]
