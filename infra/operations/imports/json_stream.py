"""The records of a JSON document of any size, one after the other.

The first array that is met is the list of records: ``[{...}, ...]`` as well as
``{"name": "x", "plays": [{...}, ...]}``. Only one record is in memory at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from infra.operations.imports.lines import text_chunks
from infra.operations.imports.rows import Readable

#: Characters; a longer record is none.
MAX_RECORD = 8 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR_END = re.compile(r"[\s,\]}]")
_DECODE = json.JSONDecoder().raw_decode


class Element(NamedTuple):
    """A record and its text; ``torn`` says why nothing can be read from here on."""

    value: Any
    raw: str
    torn: str = ""


class _Torn(Exception):
    pass


class _Window:
    """A piece of text that moves along the stream."""

    def __init__(self, stream: Readable) -> None:
        self._chunks = text_chunks(stream)
        self.text = ""
        self.at = 0

    def more(self) -> bool:
        """Read on; ``False`` at the end."""
        pieces = [self.text[self.at :]]
        length = wanted = max(1, len(pieces[0]))
        # Twice the text each time: a long record is not tried again for every chunk.
        while length < 2 * wanted and (chunk := next(self._chunks, None)) is not None:
            pieces.append(chunk)
            length += len(chunk)
        self.text, self.at = "".join(pieces), 0
        return len(pieces) > 1

    def peek(self) -> str:
        """Return the next character that is no white space, empty at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def expect(self, character: str) -> None:
        """Pass over a character."""
        if (found := self.peek()) != character:
            raise _Torn(f"{character!r} expected, found {found or 'the end'!r}")
        self.at += 1

    def value(self) -> tuple[Any, str]:
        """Read one whole value and return it with its text."""
        self.peek()
        while True:
            try:
                value, end = _DECODE(self.text, self.at)
                # A number at the end of the window may go on in the next one.
                if end < len(self.text) or not self.more():
                    raw = self.text[self.at : end]
                    self.at = end
                    return value, raw
            except RecursionError:
                raise _Torn("nested too deeply") from None
            except ValueError as error:
                hopeless = len(self.text) - self.at > MAX_RECORD
                if hopeless or not self.more():
                    raise _Torn(
                        f"a record of more than {MAX_RECORD} characters"
                        if hopeless
                        else f"not JSON: {error}"
                    ) from None


def elements(stream: Readable) -> Iterator[Element]:
    """Yield the elements of the document's first array; the last one may be torn. Never raises."""
    window = _Window(stream)
    try:
        while (found := window.peek()) == "{":
            if not _enter(window):
                return
        if not found:
            return
        window.expect("[")
        if window.peek() == "]":
            return
        while True:
            value, raw = window.value()
            yield Element(value, raw)
            if window.peek() == "]":
                return
            window.expect(",")
    except _Torn as torn:
        yield Element(None, window.text[window.at : window.at + 1000], str(torn))


def _enter(window: _Window) -> bool:
    """Go into an object up to a value that is a container; ``False`` if it has none."""
    window.expect("{")
    while window.peek() == '"':
        window.value()
        window.expect(":")
        if window.peek() in "[{":
            return True
        window.value()
        if window.peek() == ",":
            window.expect(",")
    return False
