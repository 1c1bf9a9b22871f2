"""The address under which callers reach this server, for answers that name it."""

from __future__ import annotations

import ipaddress

from fastapi import Request
from starlette.datastructures import URL

from contracts.settings import Settings


def public_address(request: Request, settings: Settings) -> URL:
    """Return the server's own address: ``SEGUE_PUBLIC_URL``, else where this caller reached it.

    The Host header is the caller's word. A name in it may be anybody's, as when a page rebinds its
    own name to this machine, so it counts only where it is an IP address or ``localhost``; for
    another name the socket's own address is given.
    """
    if settings.public_url:
        return URL(settings.public_url.rstrip("/") + "/")
    url = request.base_url
    if _is_literal(url.hostname or ""):
        return url
    host, port = request.scope.get("server") or (settings.host, settings.port)
    shown = f"[{host}]" if ":" in host else host
    return URL(f"{url.scheme}://{shown}{f':{port}' if port else ''}/")


def _is_literal(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
