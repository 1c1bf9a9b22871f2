"""The records of a JSON document of any size, one after the other.

Exports come as one array, as an object that holds arrays, as pages inside such objects, as one
object a line, or as several documents in one file. :func:`elements` finds the records in all of
them. Only one record, or one document below :data:`MAX_RECORD`, is in memory at a time; what
follows the last document and is no JSON is reported. A value that is nested too deeply for Python
is one refused record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from infra.operations.imports.lines import text_chunks
from infra.operations.imports.rows import Readable, Refused

#: Characters; a longer value is read piece by piece if it is an array or object, else refused.
MAX_RECORD = 8 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
#: What begins or ends an array, an object or a string.
_BRACKET = re.compile(r'["\[\]{}]')
_IN_STRING = re.compile(r'["\\]')
_DEEP = "nested too deeply"
#: Characters of a refused value that are kept.
_KEPT = 1000
# Not strict: a control character in one name must not end the file; the name is refused later.
_DECODE = json.JSONDecoder(strict=False).raw_decode
#: No field needs a whole number of thousands of digits: it is read as infinity.
_DECODE_LONG = json.JSONDecoder(strict=False, parse_int=float).raw_decode
#: An error so close (characters) to the end of what is read may only mean that more is to come.
_CUT = 16
#: Whether an object is a record of the format that is read.
IsRecord = Callable[[dict[str, Any]], bool]


def _decode(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODE(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        return _DECODE_LONG(text, at)


def decoded(text: str) -> object:
    """Read a line of JSON; also ``NaN`` and very long whole numbers, which Python writes.

    Raises
    ------
    Refused
        ``bad-json``.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        with suppress(ValueError, RecursionError):
            value, end = _decode(text.strip(), 0)
            if end == len(text.strip()):
                return value
        raise Refused("bad-json", f"not JSON: {error}") from None


class Element(NamedTuple):
    """A record and its text; ``torn`` is the reason why it cannot be read."""

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
        """Skip a character."""
        if (found := self.peek()) != character:
            raise _Torn(f"{character!r} expected, found {found or 'the end'!r}")
        self.at += 1

    def value(self) -> tuple[Any, str]:
        """Read one whole value and return it with its text.

        Raises
        ------
        _Torn
            It is no JSON, cut off, or too long; it begins at ``at``.
        RecursionError
            It is nested too deeply for Python; :meth:`skip` skips it.
        """
        self.peek()
        while True:
            try:
                value, end = _decode(self.text, self.at)
                # A number at the end of the window may continue in the next one.
                if end < len(self.text) or not self.more():
                    raw = self.text[self.at : end]
                    self.at = end
                    return value, raw
            except json.JSONDecodeError as error:
                if not error.msg.startswith("Unterminated") and error.pos < len(self.text) - _CUT:
                    raise _Torn(f"not JSON: {error}") from None
                if len(self.text) - self.at > MAX_RECORD:
                    raise _Torn(f"a record of more than {MAX_RECORD} characters") from None
                if not self.more():
                    raise _Torn(f"not JSON: {error}") from None

    def skip_to_line(self) -> bool:
        """Skip to the next line that begins an object; return whether the stream has one."""
        while (found := self.text.find("\n{", self.at)) < 0:
            self.at = max(self.at, len(self.text) - 1)
            if not self.more():
                self.at = len(self.text)
                return False
        self.at = found
        return True

    def skip(self, why: str = _DEEP) -> str:
        """Skip an array or object of any depth; return its first characters."""
        if self.peek() not in ("[", "{"):
            raise _Torn(why)
        first = self.text[self.at : self.at + _KEPT]
        depth, in_string = 0, False
        while True:
            found = (_IN_STRING if in_string else _BRACKET).search(self.text, self.at)
            if found is None:
                self.at = len(self.text)
                if not self.more():
                    raise _Torn(f"{why}, and cut off")
                continue
            self.at = found.end()
            character = found.group()
            if character == "\\":
                if self.at == len(self.text):
                    self.more()
                self.at += 1
            elif character == '"':
                in_string = not in_string
            else:
                depth += 1 if character in "[{" else -1
                if depth == 0:
                    return first


def elements(stream: Readable, is_record: IsRecord) -> Iterator[Element]:
    """Yield the records of every document of a stream; some may be torn. Never raises."""
    window = _Window(stream)
    while window.peek():
        try:
            yield from _document(window, is_record)
        except _Torn as torn:
            raw = window.text[window.at : window.at + _KEPT]
            ended = "" if window.skip_to_line() else "; reading ended"
            yield Element(None, raw, f"{torn}{ended}")


def _document(window: _Window, is_record: IsRecord) -> Iterator[Element]:
    found = window.peek()
    if found == "[":
        yield from _array(window, is_record)
    elif found == "{":
        yield from _object(window, is_record)
    elif found == ",":  # between documents that were joined by hand
        window.expect(",")
    else:
        raise _Torn(f"text after the end of the document: {found!r}")


def _array(window: _Window, is_record: IsRecord) -> Iterator[Element]:
    window.expect("[")
    if window.peek() == "]":
        window.expect("]")
        return
    while True:
        try:
            value, raw = window.value()
        except RecursionError:
            yield Element(None, window.skip(), _DEEP)
        except _Torn as torn:
            yield Element(None, window.skip(str(torn)), str(torn))
        else:
            yield from _bounded(_records(value, raw, is_record), raw)
        if window.peek() == "]":
            window.expect("]")
            return
        window.expect(",")


def _object(window: _Window, is_record: IsRecord, *, inside: bool = False) -> Iterator[Element]:
    try:
        value, raw = window.value()
    except _Torn:  # too long, or something in it cannot be read: the rest can
        yield from _long_object(window, is_record)
        return
    except RecursionError:
        yield Element(None, window.skip(), _DEEP)
        return
    if is_record(value) and not _rows_of_columns(value):
        yield Element(value, raw)
    elif found := list(_bounded(_inside(value, is_record), raw)):
        yield from found
    elif not inside and not any(isinstance(held, list | dict) for held in value.values()):
        yield Element(value, raw)  # a line of another shape: its reader refuses it with a reason


def _long_object(window: _Window, is_record: IsRecord) -> Iterator[Element]:
    """Walk through an object that cannot be read at once."""
    window.expect("{")
    while window.peek() == '"':
        window.value()
        window.expect(":")
        found = window.peek()
        if found == "[":
            yield from _array(window, is_record)
        elif found == "{":
            yield from _object(window, is_record, inside=True)
        else:
            window.value()
        if window.peek() == ",":
            window.expect(",")
    window.expect("}")


def _bounded(records: Iterator[Element], raw: str) -> Iterator[Element]:
    """Yield records; a value that is too deep to be searched for them is one refused record."""
    try:
        yield from records
    except RecursionError:
        yield Element(None, raw[:_KEPT], _DEEP)


def _records(value: Any, raw: str, is_record: IsRecord) -> Iterator[Element]:
    """Yield what an element of an array is: a record, a page of records, or something to refuse."""
    if (
        isinstance(value, dict)
        and not is_record(value)
        and (pages := list(_inside(value, is_record)))
    ):
        yield from pages
    elif isinstance(value, list) and value and all(isinstance(v, dict | list) for v in value):
        for row in value:
            yield from _records(row, _text(row), is_record)
    else:
        yield Element(value, raw)


def _inside(value: dict[str, Any], is_record: IsRecord) -> Iterator[Element]:
    """Yield the records that an object holds, at any depth; an object of columns is turned."""
    if is_record(value):
        if rows := _rows_of_columns(value):
            for row in rows:
                yield Element(row, _text(row))
        else:
            yield Element(value, _text(value))
        return
    for held in value.values():
        if isinstance(held, dict):
            yield from _inside(held, is_record)
        elif isinstance(held, list):
            if not any(
                isinstance(v, dict) and (is_record(v) or _holds(v, is_record)) for v in held
            ):
                continue
            for row in held:
                yield from _records(row, _text(row), is_record)


def _holds(value: dict[str, Any], is_record: IsRecord) -> bool:
    return next(_inside(value, is_record), None) is not None


def _rows_of_columns(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an object of columns: lists of one length, or objects by row number."""
    columns = {
        name: list(held.values()) if isinstance(held, dict) else held
        for name, held in value.items()
        if isinstance(held, list | dict)
    }
    if len(columns) < 3 or len(columns) < len(value) or not all(columns.values()):
        return []
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1 or any(isinstance(c[0], list | dict) for c in columns.values()):
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _text(row: object) -> str:
    try:
        return json.dumps(row)
    except RecursionError:
        return ""
