"""The files a page loads: our style and script, and htmx out of an installed package.

htmx is never copied into this repository. It is read from the wheel of ``django-htmx`` (whose code
is not imported: Django is not needed), and must have the checksum below, or the process does not
start.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from starlette.responses import Response

from contracts.errors import ConfigurationError

_OWN = Path(__file__).parent / "static"
_HTMX = "django_htmx/static/django_htmx/htmx-2.min.js"
#: SHA-256 of htmx 2.0.10 as django-htmx 1.29 brings it.
HTMX_SHA256 = "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; ``version`` is the beginning of its SHA-256."""

    name: str
    body: bytes
    packed: bytes
    version: str

    def reply(self, packed: bool) -> Response:
        """Return the answer: kept for ever, since the address names the version."""
        headers = {"cache-control": _FOR_EVER, "x-content-type-options": "nosniff"}
        if packed:
            headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
        kind = _TYPES[Path(self.name).suffix]
        return Response(self.packed if packed else self.body, headers=headers, media_type=kind)


class Assets:
    """All files, by name, held in memory.

    Raises
    ------
    ConfigurationError
        htmx is missing or not the version this one was written for.
    """

    def __init__(self) -> None:
        files = {path.name: path.read_bytes() for path in sorted(_OWN.iterdir())}
        files["htmx.js"] = _htmx()
        self._files = {name: _asset(name, body) for name, body in files.items()}

    def find(self, name: str) -> Asset | None:
        """Return a file."""
        return self._files.get(name)

    def address(self, name: str) -> str:
        """Return the address of a file, with its version."""
        return f"/ui/static/{name}?v={self._files[name].version}"


def _asset(name: str, body: bytes) -> Asset:
    return Asset(name, body, gzip.compress(body, 9, mtime=0), hashlib.sha256(body).hexdigest()[:12])


def _htmx() -> bytes:
    try:
        path = Path(str(distribution("django-htmx").locate_file(_HTMX)))
        body = path.read_bytes()
    except (PackageNotFoundError, OSError):
        raise ConfigurationError("the pages need the package django-htmx 1.29") from None
    if hashlib.sha256(body).hexdigest() != HTMX_SHA256:
        raise ConfigurationError(f"{path} is not the htmx these pages were written for")
    return body
