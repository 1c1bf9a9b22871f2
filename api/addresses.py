"""Addresses in one form: as clients join them, and names in them as people type them.

A base that ends in a slash gives a double one, and some clients end the address with one. In the
scrobbling protocols neither means anything; Segue's own addresses under ``/v1`` stay exact. A
listener's name may have any Unicode form.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import Scope

from api.listenbrainz.limits import PREFIX
from contracts.listeners import listener_name

_LASTFM, _OLD = "/2.0", "/audioscrobbler/"
_TIDIED = (PREFIX, _LASTFM, _OLD, "/api/auth")
_RUN = re.compile("/{2,}")


def tidy(scope: Scope) -> Scope:
    """Return the request with names in NFC, and in protocols without slashes too many.

    An encoded slash (``%2F``) belongs to a name and stays.

    Examples
    --------
    >>> tidy({"path": "//1//submit-listens/", "raw_path": b"//1//submit-listens/"})["path"]
    '/1/submit-listens'
    """
    if not scope["path"].isascii():
        scope = {**scope, "path": listener_name(scope["path"])}
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    if "//" not in raw and not raw.endswith("/"):
        return scope
    path = _RUN.sub("/", raw)
    if path != "/" and not path.startswith(_TIDIED):
        return scope
    if path.startswith((PREFIX, _OLD)):
        path = path.rstrip("/") if path != PREFIX else path
    return {**scope, "path": listener_name(unquote(path)), "raw_path": path.encode("latin-1")}


def read_by_pages(path: str) -> bool:
    """Whether pages of other origins may call an address (CORS), as its protocol allows."""
    return path.startswith((PREFIX, _LASTFM))
