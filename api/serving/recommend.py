"""GET /v1/users/{user}/recommendations: one Redis read, one ranking, no copies between."""

from __future__ import annotations

from starlette.types import Receive, Scope

from api.auth import Identity
from api.errors import ApiError
from api.http import Reply
from api.services import Services
from api.serving.asked import Asked, parameters

PREFIX = "/v1/users/"
SUFFIX = "/recommendations"
ROUTE = "/v1/users/{user}/recommendations"
#: Characters of a listener's name, at most.
LONGEST_NAME = 256
#: Tracks of a costly list that count for one request more in the rate limit.
TRACKS_A_REQUEST = 5


class Recommend:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive) -> Reply:
        """Answer one request.

        Raises
        ------
        ApiError
            401 without a good token, else as :func:`question`.
        """
        identity = await self._services.accounts.require(scope)
        user = scope["path"][len(PREFIX) : -len(SUFFIX)]
        asked = question(identity, user, scope["query_string"])
        make = self._services.slow.list if asked.costly else self._services.desk.ask
        return Reply(200, await make(user, asked))


def question(identity: Identity, user: str, query: bytes) -> Asked:
    """Return what a caller asks for: the rules of both ways a request can come.

    Raises
    ------
    ApiError
        400 for a parameter that makes no sense, 403, 404 for a name nobody can have.
    """
    identity.check_acts_for(user)
    check_name(user)
    return parameters(query)


def check_name(user: str) -> None:
    """Raise a 404 for a name that no listener can have, and no sink could keep."""
    if len(user) > LONGEST_NAME or "\x00" in user:
        raise ApiError(404, "unknown-user", "No listener can have this name.")


def price_of(scope: Scope) -> int:
    """Return how many requests this one counts for in the rate limit: by the work it makes."""
    try:
        asked = parameters(scope["query_string"])
    except ApiError:
        return 1
    return 1 + asked.limit // TRACKS_A_REQUEST if asked.costly else 1
