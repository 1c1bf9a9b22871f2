"""GET /v1/users/{user}/recommendations: one Redis read, the mapped model, no copies between."""

from __future__ import annotations

from starlette.types import Receive, Scope

from api.errors import ApiError
from api.http import Reply
from api.services import Services
from api.serving.asked import parameters

PREFIX = "/v1/users/"
SUFFIX = "/recommendations"
ROUTE = "/v1/users/{user}/recommendations"
#: Characters of a listener's name, at most.
LONGEST_NAME = 256


class Recommend:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive) -> Reply:
        """Answer one request.

        Raises
        ------
        ApiError
            400 for a parameter that makes no sense, 401, 403, 404 for a name nobody can have.
        """
        identity = await self._services.accounts.require(scope)
        user = scope["path"][len(PREFIX) : -len(SUFFIX)]
        identity.check_acts_for(user)
        # Any other name is at worst a stranger's; with these no sink could keep the impression.
        if len(user) > LONGEST_NAME or "\x00" in user:
            raise ApiError(404, "unknown-user", "No listener can have this name.")
        return Reply(200, await self._services.desk.ask(user, parameters(scope["query_string"])))
