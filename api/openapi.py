"""The OpenAPI document: FastAPI's routes, our structs, and errors as they really look."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import ErrorBody
from api.lastfm.methods import ROUTE as LASTFM
from api.listenbrainz.limits import PREFIX
from api.listenbrainz.replies import ListenBrainzError
from api.web import DOCUMENTED

_REFERENCE = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The request makes no sense.",
    "401": "No valid token.",
    "403": "The token may not do this.",
    "404": "Not there.",
    "408": "The body took too long to arrive.",
    "413": "The body is too large.",
    "415": "The body is compressed.",
    "429": "Too many requests.",
    "503": "A dependency does not answer; try again.",
}
_OPEN = ("/healthz", "/readyz", "/metrics")


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document (made once)."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        structs = [*DOCUMENTED, ErrorBody, ListenBrainzError]
        _, schemas = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components.update(schemas)
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for path, methods in document["paths"].items():
            for operation in methods.values():
                _describe_errors(path, operation["responses"])
        app.openapi_schema = document
    return app.openapi_schema


def _describe_errors(path: str, responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    if path in _OPEN:
        return
    if path == LASTFM:
        for status in ("200", *_ERRORS):
            known = responses.setdefault(status, {"description": _ERRORS.get(status, "Success.")})
            known["content"] = {kind: {"schema": {}} for kind in ("text/xml", "application/json")}
        return
    name = ListenBrainzError.__name__ if path.startswith(PREFIX) else ErrorBody.__name__
    error: dict[str, Any] = {"$ref": _REFERENCE.format(name=name)}
    for status, text in _ERRORS.items():
        known = responses.setdefault(status, {"description": text})
        content = known.setdefault("content", {}).setdefault("application/json", {})
        # A refused batch has a body of its own, besides that of an unreadable one.
        own = content.get("schema")
        content["schema"] = error if own is None else {"anyOf": [own, error]}
