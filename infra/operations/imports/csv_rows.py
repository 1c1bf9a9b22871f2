"""Rows of a csv file of any quality: one stray quote must not swallow the rest of it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from infra.operations.imports.lines import MAX_LINE

_SEPARATOR = re.compile(r"\"?sep=.?\"?", re.IGNORECASE)


class Row(NamedTuple):
    """A row; ``fields`` is ``None`` where the line cannot be taken apart."""

    line: int
    fields: list[str] | None
    raw: str


def rows(lines: Iterable[str], delimiter: str, width: int, first: int = 1) -> Iterator[Row]:
    """Yield the rows of a file whose rows have ``width`` fields.

    A row may span lines, inside quotes. If it then has another number of fields, or outgrows the
    limit, a quote was no quote: its lines are read again, each by itself.

    Parameters
    ----------
    first
        Number of the first line.
    """
    taken: list[str] = []

    def feed() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield f"{line}\n"

    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(feed(), delimiter=delimiter)
    number = first
    while True:
        fields: list[str] | None
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = None
        if fields is None or (len(taken) > 1 and len(fields) != width):
            for offset, line in enumerate(taken):
                yield Row(number + offset, _alone(line, delimiter), line)
        elif fields:
            yield Row(number, fields, taken[0] if len(taken) == 1 else "\n".join(taken))
        number += len(taken)
        taken.clear()


def _alone(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return None


def head_of(lines: Iterator[str]) -> tuple[str, int]:
    """Take the header from a file and return it with the number of its line.

    It skips blank lines before the header, and ``sep=;``, which spreadsheets write there.
    """
    number = 0
    for number, line in enumerate(lines, 1):
        if line.strip() and not _SEPARATOR.fullmatch(line.strip()):
            return line, number
    return "", number


def delimiter_of(header: str) -> str:
    """Return what separates the fields of a header line.

    Examples
    --------
    >>> delimiter_of("Artist;Album;AlbumId;Track;Date#ada")
    ';'
    """
    return max(",;\t|", key=header.count)
