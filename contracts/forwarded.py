"""The address of a client as trusted proxies name it, for the API and the pages."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from typing import TYPE_CHECKING, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

#: How long the addresses of a host name count, and how long to wait for them (seconds).
EVERY_SECONDS = 5.0
_WAIT_SECONDS = 1.0


class Forwarded:
    """An ASGI application whose requests carry the address and scheme that a trusted proxy names.

    The header X-Forwarded-For of a connection from any other address is ignored. Uvicorn reads the
    header; this class adds host names, because in a container network the pages have no address
    that is known beforehand. While a name cannot be looked up, nobody is trusted under it.

    Parameters
    ----------
    app
        The application.
    trusted
        As ``SEGUE_TRUSTED_PROXIES``.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self._app = app
        entries = [text for each in trusted.split(",") if (text := each.strip())]
        networks = [_network(entry) for entry in entries]
        self._fixed = [network for network in networks if network]
        self._names = [each for each, net in zip(entries, networks, strict=True) if not net]
        self._due = 0.0
        self._lock = asyncio.Lock()
        self._inner = self._trusting([])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        # An address is looked up only for a request that has the header: most have none.
        if self._names and scope["type"] == "http" and _has_header(scope):
            async with self._lock:
                if time.monotonic() >= self._due:
                    await self._look_up()
        await self._inner(scope, receive, send)

    async def _look_up(self) -> None:
        loop = asyncio.get_running_loop()
        found: list[str] = []
        for name in self._names:
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    answers = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError, TimeoutError):
                log.warning("SEGUE_TRUSTED_PROXIES: %r cannot be looked up; not trusted now", name)
                continue
            found += [str(address[0]) for *_, address in answers]
        self._inner = self._trusting(found)
        self._due = time.monotonic() + EVERY_SECONDS

    def _trusting(self, found: list[str]) -> ASGIApp:
        trusted = [*self._fixed, *found]
        return cast("ASGIApp", ProxyHeadersMiddleware(self._app, trusted))  # type: ignore[arg-type]


def _network(entry: str) -> str:
    """Return an address or a network as uvicorn reads it; empty for a host name.

    Examples
    --------
    >>> _network("10.1.0.7/16"), _network("::1"), _network("segue-web-pods")
    ('10.1.0.0/16', '::1/128', '')
    """
    try:
        return str(ipaddress.ip_network(entry, strict=False))
    except ValueError:
        return ""


def _has_header(scope: Scope) -> bool:
    return any(name == b"x-forwarded-for" for name, _ in scope["headers"])
