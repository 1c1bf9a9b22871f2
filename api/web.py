"""What FastAPI's endpoints share: the services, the caller, answers, documentation."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyHeader

from api.auth import Identity
from api.services import Services

#: Structs that stand in the OpenAPI document.
DOCUMENTED: list[type[Any]] = []

_SCHEME = APIKeyHeader(
    name="Authorization",
    scheme_name="token",
    description="`Token <token>` or `Bearer <token>`",
    auto_error=False,
)


def services_of(request: Request) -> Services:
    """Return the services of the running application."""
    services: Services = request.app.state.services
    return services


async def caller_of(request: Request, _: Annotated[str | None, Security(_SCHEME)]) -> Identity:
    """Return who calls, or raise a 401."""
    return await services_of(request).accounts.require(request.scope)


With = Annotated[Services, Depends(services_of)]
Caller = Annotated[Identity, Depends(caller_of)]
SCHEME = Security(_SCHEME)


def json_reply(value: object, status: int = 200) -> Response:
    """Return a JSON answer."""
    body = msgspec.json.encode(value, enc_hook=_plain)
    return Response(body, status, media_type="application/json")


def _plain(value: Any) -> Any:
    """Return a number of numpy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(type(value))


def answers(struct: type[Any], status: int = 200, text: str = "Success.") -> dict[int | str, Any]:
    """Return the ``responses`` of a route that answers with a struct."""
    return {status: {"description": text, "content": _content(struct)}}


def body_of(struct: type[Any]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that reads a struct from its raw body."""
    return {"requestBody": {"required": True, "content": _content(struct)}}


def _content(struct: type[Any]) -> dict[str, Any]:
    if struct not in DOCUMENTED:
        DOCUMENTED.append(struct)
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}}
