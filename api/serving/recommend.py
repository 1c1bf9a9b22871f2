"""GET /v1/users/{user}/recommendations: one Redis read, the mapped model, no copies between."""

from __future__ import annotations

from starlette.types import Receive, Scope

from api.http import Reply
from api.services import Services
from api.serving.asked import parameters

PREFIX = "/v1/users/"
SUFFIX = "/recommendations"
ROUTE = "/v1/users/{user}/recommendations"


class Recommend:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive) -> Reply:
        """Answer one request.

        Raises
        ------
        ApiError
            400 for a parameter that makes no sense, 401, 403.
        """
        identity = await self._services.accounts.require(scope)
        user = scope["path"][len(PREFIX) : -len(SUFFIX)]
        identity.check_acts_for(user)
        return Reply(200, await self._services.desk.ask(user, parameters(scope["query_string"])))
