"""Reading a small JSON body into a struct, with an error that names the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from api.errors import ApiError
from api.http import read_body

T = TypeVar("T")
MAX_BODY = 65_536
_FIELD = re.compile(r"`\$\.?([^`\[]*)")


async def read_struct(request: Request, struct: type[T]) -> T:
    """Return the request's body.

    Raises
    ------
    ApiError
        400 naming the field, 413 above 64 kB.
    """
    body = await read_body(request.scope, request.receive, MAX_BODY)
    try:
        given: T = msgspec.json.decode(body, type=struct)
    except msgspec.ValidationError as error:
        named = _FIELD.search(str(error))
        field = named.group(1) if named and named.group(1) else None
        raise ApiError(400, "bad-schema", f"{error}.", field=field) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-json", f"The body is not JSON: {error}.") from None
    for name, value in _texts(given):
        if "\x00" in value:
            raise ApiError(400, "bad-text", f"{name} contains the character NUL.", field=name)
    return given


def _texts(struct: Any) -> list[tuple[str, str]]:
    return [(k, v) for k, v in msgspec.structs.asdict(struct).items() if isinstance(v, str)]
