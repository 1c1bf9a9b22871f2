"""Lines of text of bounded length, from arbitrary bytes."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from infra.operations.imports.rows import Readable

#: Bytes; a longer line is no record of anything we read.
MAX_LINE = 1 << 20
CHUNK = 1 << 18


class LongLine(str):
    """The beginning of a line that is too long; the rest of it was skipped."""


def encoding_of(head: bytes) -> str:
    """Return the encoding by the byte order mark, or without one by the zero bytes of UTF-16."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = [byte == 0 for byte in head[:4]]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else "utf-8-sig"


def text_chunks(stream: Readable) -> Iterator[str]:
    """Yield the text of a stream piece by piece.

    Bytes that are no UTF-8 become half a surrogate pair each, which no name may hold: the record
    is refused, where U+FFFD would give it the name of another track.
    """
    chunk = stream.read(CHUNK)
    encoding = encoding_of(chunk)
    errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    while chunk:
        if text := decoder.decode(chunk):
            yield text
        chunk = stream.read(CHUNK)
    if text := decoder.decode(b"", final=True):
        yield text


def lines(stream: Readable) -> Iterator[str]:
    """Yield each line without its end; one beyond :data:`MAX_LINE` as :class:`LongLine`.

    A line ends with a line feed, a carriage return (old Macs), or both.
    """
    rest = ""
    passing_over = False
    ends = io.IncrementalNewlineDecoder(None, translate=True)
    for chunk in text_chunks(stream):
        parts = (rest + ends.decode(chunk)).split("\n")
        rest = parts.pop()
        if parts and passing_over:
            del parts[0]
            passing_over = False
        for part in parts:
            if len(part) > MAX_LINE:
                yield LongLine(part[:1000])
            else:
                yield part
        if len(rest) > MAX_LINE:
            if not passing_over:
                yield LongLine(rest[:1000])
            passing_over, rest = True, ""
    if rest and not passing_over:
        yield rest
