"""Reads a form with a file as it arrives: the file is passed on piece by piece, never held."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from email.message import Message

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser
from starlette.requests import ClientDisconnect, Request

from web.forms import NoForm

#: Bytes of all fields before the file, at most.
_MOST_FIELDS = 65_536


class UploadForm:
    """A form of type ``multipart/form-data`` whose file comes after its fields.

    Attributes
    ----------
    fields
        What was filled in, once :meth:`begin` has returned.
    name
        Name of the file; empty: none was chosen.
    """

    def __init__(self, request: Request) -> None:
        kind = Message()
        kind["content-type"] = request.headers.get("content-type", "")
        boundary = kind.get_param("boundary")
        if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
            raise NoForm
        self.fields: dict[str, str] = {}
        self.name = ""
        self._body = request.stream().__aiter__()
        self._header = self._value = self._field = b""
        self._held = 0
        self._in_file = self._ended = False
        self._pieces: deque[bytes] = deque()
        self._parser = MultipartParser(
            boundary.encode("latin-1", "replace"),
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._end_header,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
            },
        )

    async def begin(self) -> None:
        """Read the fields, up to the file.

        Raises
        ------
        NoForm
            The body is not one of our forms.
        """
        while not self._in_file and not self._ended and await self._more():
            pass

    async def file(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file; raises as :meth:`begin`."""
        while self._in_file:
            while self._pieces:
                yield self._pieces.popleft()
            if self._ended or not await self._more():
                break
        while self._pieces:
            yield self._pieces.popleft()

    async def _more(self) -> bool:
        """Take the next bytes apart; return whether there were some."""
        try:
            data = await anext(self._body, b"")
            if data:
                self._parser.write(data)
        except (MultipartParseError, ClientDisconnect, ValueError):
            raise NoForm from None
        return bool(data)

    def _begin_part(self) -> None:
        self._part: dict[str, bytes] = {}
        self._field = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._part[self._header.decode("latin-1").lower()] = self._value
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._ended:
            return
        if self._named("filename") is not None:
            self._in_file = True
            self.name = self._named("filename") or ""
            self._pieces.append(bytes(data[start:end]))
            return
        self._held += end - start
        if self._held > _MOST_FIELDS:
            raise ValueError("too much before the file")
        self._field += data[start:end]

    def _end_part(self) -> None:
        if self._ended:
            return
        if (name := self._named("filename")) is not None:
            self.name, self._ended = name, True
        else:
            self.fields[self._named("name") or ""] = self._field.decode("utf-8", "replace")

    def _named(self, parameter: str) -> str | None:
        """Return a parameter of the part's disposition, as browsers write it (UTF-8)."""
        disposition = Message()
        text = self._part.get("content-disposition", b"").decode("utf-8", "replace")
        disposition["content-disposition"] = " ".join(text.splitlines())
        found = disposition.get_param(parameter, header="content-disposition")
        return found if isinstance(found, str) else None
