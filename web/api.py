"""The API as the pages see it: JSON in, JSON out, and two ways in which a call can fail."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from contracts.errors import SegueError

_SECONDS = 6.0
#: What is read from the log, the lake or the whole trail for an operator may take longer (seconds).
_SLOW_SECONDS = 30.0
_SLOW = ("/v1/dead-letters", "/v1/lake", "/v1/operations", "/v1/audit/verify")


class Away(SegueError):
    """The API does not answer, or answers that it cannot now.

    Parameters
    ----------
    message
        Its message, for a person.
    """

    def __init__(self, message: str = "The API does not answer.") -> None:
        super().__init__(message)
        self.message = message


class Refused(SegueError):
    """The API refused: the message is the API's own and gives the reason.

    Attributes
    ----------
    status, code, field
        As in the API's error body.
    retry_after
        Seconds, if the API named them.
    """

    def __init__(
        self, status: int, code: str, message: str, field: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after


def part(text: str) -> str:
    """Return a text as one part of a path."""
    return quote(text, safe="")


class Api:
    """A client of one API.

    Parameters
    ----------
    base
        Its address.
    transport
        In place of the network, in tests.
    """

    def __init__(self, base: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.base = base
        self._headers: dict[str, str] = {}
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._calls = httpx.AsyncClient(
            base_url=base, timeout=_SECONDS, limits=limits, transport=transport
        )
        # Streams stay open: they must not take the connections of calls.
        self._streams = httpx.AsyncClient(
            base_url=base,
            timeout=httpx.Timeout(_SECONDS, read=60.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            transport=transport,
        )

    def on_behalf_of(self, address: str) -> Api:
        """Return this client for requests of the person at an address.

        The API counts failed sign-ins by address and puts it on record. It trusts this process
        if ``SEGUE_TRUSTED_PROXIES`` names it. Without an address the client itself is returned.
        """
        if not address:
            return self
        made = copy.copy(self)
        made._headers = {"x-forwarded-for": address}
        return made

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.aclose()
        await self._streams.aclose()

    async def call(
        self, method: str, path: str, token: str = "", *, body: Any = None, **query: Any
    ) -> Any:
        """Return the decoded answer, ``None`` for an empty one; query values ``None`` are left out.

        Raises
        ------
        Away
            No answer, or a 5xx.
        Refused
            A 4xx.
        """
        answer = await self.raw(method, path, token, body=body, **query)
        return answer.json() if answer.content else None

    async def raw(
        self, method: str, path: str, token: str = "", *, body: Any = None, **query: Any
    ) -> httpx.Response:
        """Return the answer itself; raises as :meth:`call`."""
        headers = self._headers | ({"authorization": f"Bearer {token}"} if token else {})
        asked = {name: _text(value) for name, value in query.items() if value is not None}
        try:
            answer = await self._calls.request(
                method, path, params=asked, json=body, headers=headers,
                timeout=_SLOW_SECONDS if path.startswith(_SLOW) else _SECONDS,
            )  # fmt: skip
        except (httpx.TransportError, httpx.InvalidURL):
            raise Away from None
        if answer.status_code >= 400:
            raise _failure(answer)
        return answer

    async def upload(self, path: str, token: str, file: AsyncIterator[bytes], **query: Any) -> Any:
        """Send a file piece by piece and return the decoded answer; raises as :meth:`call`."""
        headers = self._headers | {
            "authorization": f"Bearer {token}", "content-type": "application/octet-stream",
        }  # fmt: skip
        asked = {name: _text(value) for name, value in query.items()}
        try:
            answer = await self._streams.post(path, params=asked, content=file, headers=headers)
        except httpx.TransportError:
            raise Away from None
        if answer.status_code >= 400:
            raise _failure(answer)
        return answer.json()

    @asynccontextmanager
    async def stream(self, path: str, token: str, last: str = "") -> AsyncIterator[httpx.Response]:
        """Open an answer that does not end; raises as :meth:`call`, also while it is read."""
        headers = self._headers | {
            "authorization": f"Bearer {token}", "accept": "text/event-stream",
        }  # fmt: skip
        if last:
            headers["last-event-id"] = last
        try:
            async with self._streams.stream("GET", path, headers=headers) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    raise _failure(answer)
                yield answer
        except httpx.TransportError:
            raise Away from None


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _plain(message: str) -> str:
    """Return a message in words that a form can show.

    Examples
    --------
    >>> _plain("Expected `str` of length <= 256 - at `$.user`.")
    'At most 256 characters.'
    """
    return re.sub(
        r"Expected `str` of length <= ([0-9]+)( - at `[^`]*`)?", r"At most \1 characters", message
    )


def _failure(answer: httpx.Response) -> Away | Refused:
    code, message, field = "", "", ""
    try:
        said = answer.json()
        error = said.get("error", said)
        if isinstance(error, str):  # the form of the ListenBrainz protocol
            message = error
        else:
            refused: dict[str, Any] = next(
                (one for one in said.get("results", []) if one.get("message")), {}
            )
            code = str(error.get("code") or refused.get("reason", ""))
            message = str(error.get("message") or refused.get("message", ""))
            field = str(error.get("field") or "")
    except (ValueError, AttributeError):
        pass
    message = _plain(message) or f"The API answered with status {answer.status_code}."
    if answer.status_code >= 500:
        return Away(message)
    after = answer.headers.get("retry-after", "")
    return Refused(answer.status_code, code, message, field, int(after) if after.isdigit() else 0)
