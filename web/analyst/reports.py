"""Published reports as pages: sentence, facts, chart, table, editions, and how it was made."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from starlette.responses import Response

from web.analyst.figures import late
from web.api import Refused, part
from web.charts.bars import Bar, bars
from web.charts.chart import Chart
from web.charts.lines import Line, lines
from web.visit import Visit
from web.words import moment

#: Rows of a table on the page; the rest is in the downloads.
MOST = 100
_TIMES = ("date", "day", "month", "week", "played_date", "hour_start")


class Heading(NamedTuple):
    """What people call a column, and whether it holds numbers."""

    label: str
    numeric: bool


class Shown(NamedTuple):
    """A table of a report as the page shows it: the first rows, as text."""

    name: str
    columns: list[Heading]
    rows: list[list[str]]
    more: int
    chart: Chart | None


async def report(visit: Visit, report: str) -> Response:
    """GET /ui/analytics/...: one report."""
    edition = visit.query("edition")
    try:
        edition = date.fromisoformat(edition).isoformat() if edition else ""
    except ValueError:
        message = f"{edition!r} is not a day; write 2026-11-26."
        raise Refused(404, "unknown-report", message) from None
    document, listed, runs, lineage = await visit.several(
        visit.get(f"/v1/reports/{part(report)}", edition=edition or None),
        visit.get("/v1/reports"),
        visit.optional("/v1/runs", default={"runs": []}),
        visit.optional(f"/v1/lineage/{part('report:' + report)}", default={"tables": []}),
    )
    tables = {row["name"]: row for row in lineage["tables"]}
    drawn_from = tables.get(f"report:{report}", {"inputs": []})["inputs"]
    document = {"lake_version": None, "facts": {}, "notes": [], "layout": {}} | document
    about = next((one for one in listed["reports"] if one["name"] == report), None)
    made_by = next(
        (r for r in runs["runs"] if r["lake_version"] == document.get("lake_version")), None
    )
    record = await visit.optional(f"/v1/runs/{part(made_by['id'])}") if made_by else None
    return visit.page(
        "report.html", document["title"], report=document, name=report, about=about,
        edition=edition,
        tables=[
            shown(table, records, document["layout"].get(table, {}))
            for table, records in document["tables"].items()
        ],
        run=record, behind=[tables[name] for name in drawn_from if name in tables],
        late=not edition and late(document["generated_at"]),
    )  # fmt: skip


async def download(visit: Visit, report: str, kind: str) -> Response:
    """GET /ui/analytics/.../data.csv: the file itself."""
    answer = await visit.api.raw(
        "GET", f"/v1/reports/{part(report)}", visit.who.token, format=kind,
        edition=visit.query("edition") or None,
    )  # fmt: skip
    name = f"{report}{'-' + visit.query('edition') if visit.query('edition') else ''}.{kind}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(answer.content, media_type=answer.headers["content-type"], headers=headers)


def shown(key: str, records: list[dict[str, Any]], layout: dict[str, Any]) -> Shown:
    """Return a table for the page.

    Parameters
    ----------
    layout
        ``title`` of the table and ``label`` and ``form`` of its columns; empty for editions that
        an earlier version of Segue published.
    """
    columns = list(records[0]) if records else []
    rows = [[record.get(column) for column in columns] for record in records]
    known = {column["key"]: column for column in layout.get("columns", ())}
    forms = [known.get(column, {}).get("form", "") for column in columns]
    title = key.replace("_", " ")
    return Shown(
        layout.get("title") or _words(key),
        [
            Heading(known.get(column, {}).get("label") or _words(column), _all_numbers(rows, i))
            for i, column in enumerate(columns)
        ],
        [
            [readable(cell, form) for cell, form in zip(row, forms, strict=True)]
            for row in rows[:MOST]
        ],
        max(0, len(rows) - MOST),
        chart_of(title, columns, rows),
    )


def readable(cell: Any, form: str = "") -> str:
    """Return a cell as people read it; ``form`` is that of a report's column.

    Examples
    --------
    >>> readable(0.1433, "percent"), readable(1286.6, "tenths"), readable(20757), readable(None)
    ('14.3 %', '1,286.6', '20,757', '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    if form == "percent":
        return f"{100 * cell:.1f} %"
    digits = {"count": 0, "tenths": 1, "thousandths": 3}.get(form)
    return f"{cell:,}" if digits is None else f"{cell:,.{digits}f}"


def chart_of(title: str, columns: list[str], rows: list[list[Any]]) -> Chart | None:
    """Return the picture of a table: a line over a time, bars over a name; ``None``: neither."""
    if len(rows) < 2 or not columns:
        return None
    numbers = [i for i in range(len(columns)) if _all_numbers(rows, i)]
    time = next((i for i, name in enumerate(columns) if name in _TIMES and _dates(rows, i)), None)
    if time is not None:
        shown = [i for i in numbers if i != time][:1]
        if not shown:
            return None
        at = sorted(rows, key=lambda row: str(row[time]))
        points = [moment(str(row[time])) for row in at]
        if len(set(points)) != len(points):
            return None
        series = [Line(_words(columns[i]), [row[i] for row in at]) for i in shown]
        low, high = (
            min(v for v in series[0].values if v is not None),
            max(v for v in series[0].values if v is not None),
        )
        finding = f"{series[0].name} from {points[0]:%d %b} to {points[-1]:%d %b %Y}"
        return lines(points, series, f"{finding}: between {low:,} and {high:,}")
    named = next(
        (i for i in range(len(columns)) if i not in numbers and all(row[i] for row in rows)), None
    )
    values = [i for i in numbers if columns[i] not in ("rank", "place")]
    if named is None or not values:
        return None
    value = values[0]
    if any(row[value] is None or row[value] < 0 for row in rows):
        return None
    best = sorted(rows, key=lambda row: -row[value])[:15]
    found = [Bar(str(row[named]), row[value]) for row in best]
    if len({bar.name for bar in found}) != len(found):
        return None
    return bars(found, _words(columns[named]), _words(columns[value]))


def _words(column: str) -> str:
    return column.replace("_", " ").capitalize()


def _all_numbers(rows: list[list[Any]], i: int) -> bool:
    values = [row[i] for row in rows if row[i] is not None]
    return bool(values) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def _dates(rows: list[list[Any]], i: int) -> bool:
    try:
        for row in rows:
            moment(str(row[i]))
    except ValueError:
        return False
    return True
