"""Pages that help with the pages."""

from __future__ import annotations

from starlette.responses import Response

from web.visit import Visit


async def keys(visit: Visit) -> Response:
    """GET /ui/keys: the keyboard."""
    return visit.page("keys.html", "Keyboard")
