"""Server-sent events, read and written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    name: str
    data: str
    id: str = ""

    @cached_property
    def sent(self) -> bytes:
        """Its bytes, made once for every stream it goes to: a thousand copies are 17 MB."""
        return written(self).encode()


def written(event: Event) -> str:
    """Return an event as it is sent.

    Examples
    --------
    >>> written(Event("list", "a\\nb"))
    'event: list\\ndata: a\\ndata: b\\n\\n'
    """
    # Not splitlines: a name may hold characters that Unicode calls line breaks, and HTML does not.
    data = event.data.replace("\r\n", "\n").replace("\r", "\n")
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    head = f"id: {event.id}\n" if event.id else ""
    return f"{head}event: {event.name}\n{lines}\n"


async def lines_of(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the lines of a text that comes in pieces; only a newline ends a line."""
    rest = ""
    async for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line.removesuffix("\r")


async def read(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Yield the events of a stream, parsed by the rules of the HTML standard."""
    name, last = "message", ""
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield Event(name, "\n".join(data), last)
            name, data = "message", []
        elif not line.startswith(":"):
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                name = value
            elif key == "data":
                data.append(value)
            elif key == "id":
                last = value
