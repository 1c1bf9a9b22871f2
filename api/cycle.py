"""A request in progress, as uvicorn's HTTP protocol knows it, when no application runs for it."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.http import JSON, Headers


class _Nobody:
    """Replaces the event that uvicorn sets to wake a waiting application: none waits here."""

    def set(self) -> None:
        """Do nothing."""


class Cycle(RequestResponseCycle):
    """The state of a request that uvicorn's protocol reads, without an ASGI application."""

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.body = bytearray()
        self.message_event = _NOBODY  # type: ignore[assignment]


_NOBODY = _Nobody()


def answer(
    protocol: HttpToolsProtocol, cycle: Cycle, status: int, headers: Headers, body: bytes
) -> None:
    """Write an answer in the form in which uvicorn writes the answers of an ASGI application.

    Writes nothing if the client has closed the connection.
    """
    # uvicorn reports a disconnect only to the latest of several pipelined requests.
    if cycle.disconnected or protocol.transport.is_closing():
        return
    head = [JSON, (b"content-length", b"%d" % len(body)), *headers]
    lines = b"".join([b"%b: %b\r\n" % line for line in head])
    close = b"" if cycle.keep_alive else b"connection: close\r\n"
    protocol.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[status], lines, close, body))
    cycle.response_complete = True
    if not cycle.keep_alive:
        protocol.transport.close()
    protocol.on_response_complete()
