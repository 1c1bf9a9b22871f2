"""The file of refused records (``rejects.jsonl``): one JSON object a line.

Each line holds the original text and the format that reads it. A person corrects the text, or a
newer importer reads it, with ``segue import --rejects FILE``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import msgspec

from infra.operations.imports.lines import LongLine, lines
from infra.operations.imports.rows import ImportedRecord, Options, Parser, Readable, Refused


class Reject(msgspec.Struct, kw_only=True):
    """A refused record.

    Attributes
    ----------
    file, record
        Where it was: the file (``archive:member``) and the line or element in it, from 1.
    format
        What reads ``raw``.
    raw, head
        The original text, and what must precede it (the header of a csv file).
    """

    file: str
    record: int
    format: str
    reason: str
    detail: str
    raw: str
    head: str = ""


_DECODER = msgspec.json.Decoder(Reject)
_ARRAYS = frozenset({"spotify", "spotify-account", "lastfm-json", "listenbrainz-json"})


def reader(formats: Mapping[str, tuple[Parser, str]]) -> Parser:
    """Return the parser of a file of refused records; each line is read by its own format."""

    def read(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
        for number, line in enumerate(lines(stream), 1):
            if line.strip():
                yield _again(number, line, formats, options)

    return read


def _again(
    number: int, line: str, formats: Mapping[str, tuple[Parser, str]], options: Options
) -> ImportedRecord:
    try:
        if isinstance(line, LongLine):
            raise ValueError("the line is too long")
        reject = _DECODER.decode(line)
        parse, _ = formats[reject.format]
        if reject.format == "rejects":
            raise ValueError("a reject of rejects")
    except (ValueError, KeyError, RecursionError) as error:
        return ImportedRecord(number, refused=Refused("bad-shape", f"no reject: {error}"), raw=line)
    if reject.format in _ARRAYS:
        text = f"[{reject.raw}]"
    else:
        text = f"{reject.head}\n{reject.raw}" if reject.head else reject.raw
    found = next(parse(io.BytesIO(text.encode("utf-8", "replace")), options), None)
    if found is None:
        return ImportedRecord(
            number, refused=Refused("empty", "the reject holds no text"), raw=line
        )
    return ImportedRecord(
        number,
        play=found.play,
        refused=found.refused,
        raw=reject.raw if found.refused else "",
        head=reject.head,
        format=reject.format,
    )
