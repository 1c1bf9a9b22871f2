"""The OpenAPI document: FastAPI's routes, our structs, and errors as they really look."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api import access, shapes
from api.errors import ErrorBody
from api.lastfm.errors import LastfmFailure
from api.lastfm.methods import ROUTE as LASTFM
from api.listenbrainz import described
from api.listenbrainz.limits import PREFIX
from api.listenbrainz.replies import ListenBrainzError
from api.names import NAMES
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
#: Answers whose shape is declared beside the endpoint.
_ANSWERS = described.ANSWERS | shapes.ANSWERS
#: Answers of Last.fm's Web Services, as XML and as JSON. What is in a success depends on the
#: method, as in Last.fm's own documentation.
_LASTFM_DONE = {
    "application/json": {
        "schema": {
            "type": "object",
            "maxProperties": 1,
            "description": "One member, named by what the method returns; none: it is done.",
        }
    },
    "text/xml": {"schema": {"description": '`<lfm status="ok">` around the same as XML.'}},
}
_LASTFM_FAILED = {
    "application/json": {"schema": {"$ref": _REFERENCE.format(name=LastfmFailure.__name__)}},
    "text/xml": {
        "schema": {"description": '`<lfm status="failed">` with `<error code="...">message`.'}
    },
}
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer <token>`",
    },
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token <token>`, as players that speak ListenBrainz send it.",
    },
}
_LIMITS = {
    name: {"description": text, "schema": {"type": "integer"}}
    for name, text in {
        "X-RateLimit-Limit": "Requests in the window.",
        "X-RateLimit-Remaining": "Requests that are left of it.",
        "X-RateLimit-Reset-In": "Seconds until the next window.",
    }.items()
}


def operation_id(route: APIRoute) -> str:
    """Return the OpenAPI ``operationId`` of a route, from which generated clients take names."""
    (method,) = route.methods or {""}
    return NAMES.get(f"{method} {route.path_format}", route.name)


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the API; it is built at the first call."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes,
            servers=[{"url": "/"}],
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )  # fmt: skip
        structs = [*DOCUMENTED, ErrorBody, ListenBrainzError, LastfmFailure, *_ANSWERS.values()]
        _, schemas = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
        for schema in schemas.values():
            if text := schema.get("description"):  # the examples of a docstring are Python
                schema["description"] = inspect.cleandoc(text).partition("\n\nExamples\n")[0]
        document["components"] |= {"securitySchemes": _SCHEMES, "headers": _LIMITS}
        components = document["components"].setdefault("schemas", {})
        components.update(schemas)
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                _describe_access(f"{method.upper()} {path}", operation)
                _describe_errors(path, operation["responses"])
        app.openapi_schema = document
    return app.openapi_schema


def _describe_access(name: str, operation: dict[str, Any]) -> None:
    """Describe who may call an operation, its answers and its rate-limit headers."""
    opened = name in access.OPEN
    operation["security"] = [] if opened else [{"bearer": []}, {"token": []}]
    operation["x-roles"] = sorted(access.ROLES_OF.get(name, ()))
    if words := access.in_words(name):
        operation["description"] = f"{operation.get('description', '')}\n\n{words}".strip()
    if (struct := _ANSWERS.get(name)) is not None:
        good = operation["responses"].setdefault("200", {"description": "Success."})
        content = good.setdefault("content", {}).setdefault("application/json", {})
        content["schema"] = {"$ref": _REFERENCE.format(name=struct.__name__)}
    if name.partition(" ")[2] not in _OPEN:
        limits = {key: {"$ref": f"#/components/headers/{key}"} for key in _LIMITS}
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                answer["headers"] = limits


def _describe_errors(path: str, responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    if path in _OPEN:
        return
    if path == LASTFM:
        for status in ("200", *_ERRORS):
            known = responses.setdefault(status, {"description": _ERRORS.get(status, "Success.")})
            known["content"] = _LASTFM_DONE if status == "200" else _LASTFM_FAILED
        return
    name = ListenBrainzError.__name__ if path.startswith(PREFIX) else ErrorBody.__name__
    error: dict[str, Any] = {"$ref": _REFERENCE.format(name=name)}
    for status, text in _ERRORS.items():
        known = responses.setdefault(status, {"description": text})
        content = known.setdefault("content", {}).setdefault("application/json", {})
        # A refused batch has a body of its own, besides that of an unreadable one.
        own = content.get("schema")
        content["schema"] = error if own is None else {"anyOf": [own, error]}
