"""Who calls the ListenBrainz API, with the messages its clients know."""

from __future__ import annotations

from starlette.types import Scope

from api.auth import CALLER, Accounts, Identity, token_of
from api.errors import unauthorized
from api.http import header


async def authorize(accounts: Accounts, scope: Scope) -> Identity:
    """Return the caller's identity.

    Raises
    ------
    ApiError
        401 without a valid token, 503 if accounts cannot be read.
    """
    known: Identity | None = scope.get(CALLER)
    if known is not None:
        return known
    if header(scope, b"authorization") is None:
        raise unauthorized("You need to provide an Authorization header.")
    token = token_of(scope)
    if not token:
        raise unauthorized("Provided Authorization header is invalid.")
    identity = await accounts.identify(token)
    if identity is None:
        raise unauthorized("Invalid authorization token.")
    return identity
