"""Reads a file as an import does, without posting."""

from __future__ import annotations

import io

from infra.operations.imports.formats import FORMATS, recognise
from infra.operations.imports.members import members
from infra.operations.imports.rows import ImportedRecord, Options, Readable


def read(content: bytes, options: Options | None = None) -> tuple[set[str], list[ImportedRecord]]:
    """Return the formats that were recognised and the records of all members."""
    options = options or Options(user="eva")
    formats: set[str] = set()
    records: list[ImportedRecord] = []
    file = io.BytesIO(content)
    for member in members(file, "file"):
        found = recognise(member.stream.head(), options)
        if found is None:
            continue
        formats.add(found)
        stream: Readable = member.stream
        if found == "parquet":
            file.seek(0)
            stream = file
        records.extend(FORMATS[found][0](stream, options))
    return formats, records
