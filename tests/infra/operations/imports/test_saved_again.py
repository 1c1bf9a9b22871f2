"""Exports that an editor, a spreadsheet or a script has saved again: encodings, lines, numbers."""

from __future__ import annotations

import codecs
import json

import pytest

from infra.operations.imports.formats import hint_for
from infra.operations.imports.rows import when
from tests.infra.operations.imports.reading import read

HEADER = "artist,title,time"
ROWS = ["Air,One,1672531200", "Air,Two,1672531500", "Air,Three,1672531800"]
TABLE = "\n".join([HEADER, *ROWS]) + "\n"
OBJECT = {"artist": "Air", "title": "One", "time": 1672531200}


def titles(content: bytes) -> list[str]:
    """Return the titles of the plays; every record must be one."""
    _, records = read(content)
    assert [record.refused for record in records] == [None] * len(records)
    return [record.play.title for record in records if record.play]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("text", [TABLE, json.dumps([OBJECT]), json.dumps(OBJECT)])
def test_every_encoding_of_unicode(text: str, encoding: str) -> None:
    assert titles(text.encode(encoding))[0] == "One"


@pytest.mark.parametrize(
    "content",
    [
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        "\n\r\n" + TABLE,
        "sep=;\n" + TABLE.replace(",", ";"),
        '"sep=,"\r\n' + TABLE.replace("\n", "\r\n"),
    ],
    ids=["windows", "old mac", "blank lines first", "sep=;", "sep=, in quotes"],
)
def test_line_ends_and_what_stands_before_the_header(content: str) -> None:
    assert titles(content.encode()) == ["One", "Two", "Three"]


def test_a_refused_row_has_the_number_of_its_line() -> None:
    _, records = read(f"\nsep=,\n{HEADER}\n{ROWS[0]}\nAir,Bad,never\n".encode())
    assert [record.line for record in records] == [4, 5]


@pytest.mark.parametrize("indent", [None, 1])
def test_flat_objects_in_an_array(indent: int | None) -> None:
    rows = [OBJECT, {**OBJECT, "title": 1979}, {**OBJECT, "title": None}, 7]
    formats, records = read(json.dumps({"plays": rows}, indent=indent).encode())
    assert formats == {"json"}
    assert [r.play.title if r.play else r.refused and r.refused.reason for r in records] == [
        "One", "1979", "no-name", "bad-shape",
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["9" * 5_000, "NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize("lines", [False, True])
def test_a_number_that_is_none_costs_no_play(number: str, lines: bool) -> None:
    odd = json.dumps({**OBJECT, "title": "Two"})[:-1] + f', "duration_ms": {number}}}'
    rows = [json.dumps(OBJECT), odd, json.dumps({**OBJECT, "title": "Three"})]
    content = "\n".join(rows) if lines else f"[{','.join(rows)}]"
    assert titles(content.encode()) == ["One", "Two", "Three"]


@pytest.mark.parametrize(
    "text",
    [
        "Jan 2, 2023, 10:05 AM",
        "Jan 2, 2023, 10:05:00\u202fAM",
        "January 2, 2023 10:05",
        "2 January 2023 10:05:00",
        "02 Jan 2023, 10:05",
        "44928.420138889",
        44928.420138889,
    ],
)
def test_times_of_spreadsheets_and_of_english(text: object) -> None:
    assert when(text) == 1_672_653_900_000


@pytest.mark.parametrize(
    ("head", "hint"),
    [
        (b"", "the file is empty"),
        (codecs.BOM_UTF8 + b" \n", "the file is empty"),
        (b"[]\n", "JSON without a record"),
        (b"{ }", "JSON without a record"),
    ],
)
def test_an_empty_file_is_named(head: bytes, hint: str) -> None:
    assert read(head) == (set(), [])
    assert hint_for(head) == hint
