"""A report as HTML (one file, nothing loaded from elsewhere), CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader, select_autoescape

from batch.reports.report import ZONE, Cell, Report
from contracts.spreadsheet import formula_safe

FORMATS = ("html", "csv", "json", "parquet")


def render(report: Report, form: str) -> bytes:
    """Return the report in one of :data:`FORMATS`; text is UTF-8."""
    if form == "parquet":
        return to_parquet(report)
    return {"html": to_html, "csv": to_csv, "json": to_json}[form](report).encode()


def to_html(report: Report) -> str:
    """Return one self-contained page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _for_people
    return environment.get_template("page.html").render(report=report)


def to_csv(report: Report) -> str:
    """Return the first table, one header line, fields quoted where needed (RFC 4180)."""
    table = report.tables[0]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.key for column in table.columns)
    writer.writerows([_formula_safe(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def to_json(report: Report) -> str:
    """Return everything but the figures; times as ISO 8601."""
    document: dict[str, Any] = {
        "report": report.name,
        "title": report.title,
        "summary": report.summary,
        "generated_at": report.generated_at.isoformat(),
        "time_zone": ZONE,
        "lake_version": report.lake_version,
        "facts": report.facts,
        "tables": {table.key: table.records() for table in report.tables},
        # For those who show the tables: what people call them and how they read the numbers.
        "layout": {
            table.key: {"title": table.title, "columns": [asdict(each) for each in table.columns]}
            for table in report.tables
        },
    }
    if report.notes:
        document["notes"] = report.notes
    return json.dumps(document, indent=2, ensure_ascii=False, default=_iso) + "\n"


def to_parquet(report: Report) -> bytes:
    """Return the first table under the keys of its columns; a column of nothing is text."""
    table = report.tables[0]
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    arrays = [pa.array(list(column)) for column in columns]
    arrays = [a.cast(pa.string()) if pa.types.is_null(a.type) else a for a in arrays]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, names=[c.key for c in table.columns]), buffer)
    return buffer.getvalue()


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} does not belong into a report")


def _formula_safe(cell: Cell) -> Cell:
    return formula_safe(cell) if isinstance(cell, str) else cell


def _for_people(cell: Cell, form: str = "") -> str:
    match cell:
        case None:
            return "–"
        case datetime():
            return f"{cell:%d %b %Y, %H:%M}"
        case date():
            return f"{cell:%d %b %Y}"
        case str():
            return cell
    if form == "percent":
        return f"{100 * cell:.1f} %"
    if form == "count":
        return f"{cell:,.0f}"
    if form == "thousandths":
        return f"{cell:,.3f}"
    if form == "tenths" or isinstance(cell, float):
        return f"{cell:,.1f}"
    return f"{cell:,}"
