"""Whether a POST comes from one of our own pages.

Two independent proofs: the browser's header on the origin of the request (``Sec-Fetch-Site``, or
``Origin`` if the browser does not send it), and the secret of the session, which only our pages
know. Each page masks the secret differently, so that compression does not reveal it byte by byte.
"""

from __future__ import annotations

import hmac
import secrets

from starlette.requests import Request

#: Header of requests made by scripts; forms send a field of the name ``csrf``.
HEADER = "x-csrf-token"
FIELD = "csrf"


def mask(secret: str) -> str:
    """Return the secret in another disguise each time.

    Examples
    --------
    >>> unmask(mask("00ff")) == "00ff"
    True
    """
    plain = bytes.fromhex(secret)
    pad = secrets.token_bytes(len(plain))
    return (pad + bytes(a ^ b for a, b in zip(pad, plain, strict=True))).hex()


def unmask(text: str) -> str:
    """Return the secret behind a disguise; empty for anything else."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return ""
    half = len(raw) // 2
    return bytes(a ^ b for a, b in zip(raw[:half], raw[half:], strict=False)).hex()


def same_origin(request: Request) -> bool:
    """Whether, according to the browser, one of our own pages sent this request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or origin.split("://")[-1] == request.headers.get("host", "")


def matches(request: Request, form: dict[str, str], secret: str) -> bool:
    """Whether a request carries the secret of its session."""
    given = request.headers.get(HEADER) or form.get(FIELD, "")
    return hmac.compare_digest(unmask(given), secret)
