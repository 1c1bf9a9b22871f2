"""Reading the form that a POST carries."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

#: Bytes of a form, at most.
_MOST_BYTES = 65_536
_MOST_FIELDS = 100


class NoForm(Exception):
    """The body of a POST is not one of our forms."""


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last of each name; raises :class:`NoForm`."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("application/x-www-form-urlencoded"):
        raise NoForm
    body = await _body(request)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise NoForm from None
    return dict(fields)


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise NoForm
    return body
