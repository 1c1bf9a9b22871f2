"""/docs/try: Swagger UI, to call the API from a browser; files of an installed package, no CDN.

The package comes with the group ``docs``. It is an extra because a page of 1.5 MB that few open
does not belong on every host.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_PACKAGE, _FOLDER = "fastapi-standalone-docs", "fastapi_standalone_docs/static/swagger"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
_START = """\
SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#page", deepLinking: true, docExpansion: "none", filter: true,
  persistAuthorization: false, validatorUrl: null,
});
"""
# Swagger UI writes style attributes; scripts are files of this address alone.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Segue: try it</title>'
    '<meta name="viewport" content="width=device-width"><link rel="icon" href="/favicon.ico">'
)
_PAGE = (
    f'{_HEAD}<link rel="stylesheet" href="/docs/try/swagger-ui.css">'
    '<script src="/docs/try/swagger-ui-bundle.js" defer></script>'
    '<script src="/docs/try/start.js" defer></script>'
    '<p><a href="/docs">Documentation without scripts</a></p><main id="page"></main></html>'
)
_MISSING = (
    f"{_HEAD}<main><h1>Not installed</h1><p>This page draws the API with Swagger UI, which is not "
    "installed here: <code>pip install 'segue[docs]'</code>. "
    '<a href="/docs">The documentation</a> needs nothing.</p></main></html>'
)


@cache
def folder() -> Path | None:
    """Return where Swagger UI is installed, ``None``: it is not."""
    try:
        found = Path(str(distribution(_PACKAGE).locate_file(_FOLDER)))
    except PackageNotFoundError:
        return None
    return found if all((found / name).is_file() for name in _FILES) else None


@router.get("/docs/try")
async def page() -> Response:
    """Return the page, or how to install what it needs."""
    there = folder() is not None
    return HTMLResponse(_PAGE if there else _MISSING, 200 if there else 404, headers=_HEADERS)


@router.get("/docs/try/{name}")
async def file(name: str) -> Response:
    """Return a file of the page."""
    held = folder()
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=_HEADERS)
    if held is None or name not in _FILES:
        return HTMLResponse(_MISSING, 404, headers=_HEADERS)
    return FileResponse(
        held / name, media_type=_FILES[name], headers={"cache-control": "max-age=86400"}
    )
