"""Reports as files: four formats, self-contained, published as a whole."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch.reports import KINDS
from batch.reports.plots import bars
from batch.reports.publish import publish, published
from batch.reports.render import render, to_csv, to_html
from batch.reports.report import Column, Figure, Report, Table
from contracts.errors import ConfigurationError

_SVG = "{http://www.w3.org/2000/svg}"


def _report(rows: list[tuple[Any, ...]]) -> Report:
    title = "Plays by artist"
    return Report(
        name="top-artists",
        title="Top <artists>",
        summary="Since Monday.",
        facts={"Plays": 12345},
        figures=[
            Figure(
                title,
                bars([r[0] for r in rows], [r[1] for r in rows], axis="Plays", title=title),
                "x",
            )
        ],
        tables=[
            Table(
                "artists",
                "All",
                (
                    Column("artist", "Artist"),
                    Column("plays", "Plays", "count"),
                    Column("share", "Share", "percent"),
                ),
                rows,
            )
        ],
        generated_at=datetime(2025, 3, 3, tzinfo=UTC),
        lake_version=7,
    )


ROWS: list[tuple[Any, ...]] = [("Sigur Rós", 1200, 0.25), ("$uicideboy$ <b>", 7, None)]


def test_html_loads_nothing_and_escapes_names() -> None:
    page = to_html(_report(ROWS))
    body = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r'(src|href)\s*=\s*"(?!#)', body), "a resource from elsewhere"
    assert "url(http" not in body
    assert "@import" not in body
    assert "<script" not in body
    assert "Top &lt;artists&gt;" in page
    assert "<b>" not in page
    assert "Sigur Rós" in page
    assert "12,345" in page
    assert "25.0 %" in page
    assert "lake version 7" in page
    assert "Days and hours are UTC" in page


def test_the_plot_has_titled_axes_and_real_text() -> None:
    svg = ElementTree.fromstring(bars(["Air", "Björk"], [3, 2], axis="Plays", title="By artist"))
    words = {"".join(node.itertext()).strip() for node in svg.iter(f"{_SVG}text")}
    assert {"Air", "Björk", "Plays", "By artist", "3"} <= words


def test_the_same_data_gives_the_same_bytes() -> None:
    assert render(_report(ROWS), "html") == render(_report(ROWS), "html")


def test_json_and_csv_hold_every_row() -> None:
    document = json.loads(render(_report(ROWS), "json"))
    assert (document["lake_version"], document["time_zone"]) == (7, "UTC")
    assert document["tables"]["artists"][0] == {"artist": "Sigur Rós", "plays": 1200, "share": 0.25}
    assert [column["key"] for column in document["layout"]["artists"]["columns"]] == [
        "artist", "plays", "share",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(to_csv(_report(ROWS)), newline="")))
    assert [row["artist"] for row in rows] == ["Sigur Rós", "$uicideboy$ <b>"]
    assert rows[1]["share"] == ""


def test_parquet_holds_the_rows_with_their_types() -> None:
    table = pq.read_table(io.BytesIO(render(_report(ROWS), "parquet")))
    assert table.to_pylist() == json.loads(render(_report(ROWS), "json"))["tables"]["artists"]
    assert table.schema.field("plays").type == pa.int64()
    empty = pq.read_table(io.BytesIO(render(_report([]), "parquet")))
    assert empty.column_names == ["artist", "plays", "share"]
    assert empty.num_rows == 0


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x"])
def test_a_name_that_looks_like_a_formula_is_made_harmless(name: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(_report([(name, 1, 0.1)])), newline="")))
    assert rows[1][0] == "'" + name
    negative = list(csv.reader(io.StringIO(to_csv(_report([("a", -5, -0.5)])), newline="")))
    assert negative[1][1:] == ["-5", "-0.5"], "numbers stay numbers"


@pytest.mark.parametrize(
    ("form", "text"),
    [("count", "1,574"), ("tenths", "1,573.8"), ("thousandths", "1,573.750"), ("", "1,573.8")],
)
def test_people_read_numbers_in_the_form_of_their_column(form: str, text: str) -> None:
    column = Column("seconds", "Seconds", form)
    table = Table("t", "T", (Column("run", "Run", "name"), column), [("2026-01-01-x-001", 1573.75)])
    page = render(replace(_report(ROWS), tables=[table]), "html").decode()
    assert f">{text}</td>" in page
    assert '<td class="name">2026-01-01-x-001</td>' in page


def test_publishing_leaves_latest_and_dated_copies_only(tmp_path: Path) -> None:
    publish(_report(ROWS), tmp_path, date(2025, 3, 3))
    names = sorted(path.name for path in (tmp_path / "top-artists").iterdir())
    assert names == [
        f"{stem}.{form}"
        for stem in ("2025-03-03", "latest")
        for form in ("csv", "html", "json", "parquet")
    ]
    assert published(tmp_path, "top-artists", "csv").startswith(b"artist,plays,share")


def test_an_edition_of_a_past_day_does_not_replace_the_latest(tmp_path: Path) -> None:
    publish(_report(ROWS), tmp_path, date(2025, 3, 3))
    publish(_report(ROWS[:1]), tmp_path, date(2025, 3, 2))
    assert published(tmp_path, "top-artists", "csv") == to_csv(_report(ROWS)).encode()
    past = tmp_path / "top-artists" / "2025-03-02.csv"
    assert past.read_bytes() == to_csv(_report(ROWS[:1])).encode()
    publish(_report(ROWS[1:]), tmp_path, date(2025, 3, 3))
    assert published(tmp_path, "top-artists", "csv") == to_csv(_report(ROWS[1:])).encode()


def test_a_report_never_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="segue nightly"):
        published(tmp_path, "top-artists", "html")


def test_the_registry_names_each_report_once() -> None:
    assert all(kind.name == name for name, kind in KINDS.items())
    assert {"top-artists", "listening-activity", "pipeline-health"} <= set(KINDS)
