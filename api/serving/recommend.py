"""GET /v1/users/{user}/recommendations: one Redis read, one ranking, no copies between."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.types import Receive, Scope

from api.auth import Identity
from api.errors import ApiError
from api.http import Reply
from api.services import Services
from api.serving.arms import Arms, without_arms
from api.serving.asked import Asked, parameters
from contracts.accounts import ADMIN_ROLE
from contracts.labels import NO_ARM

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
        query = scope["query_string"]
        asked = question(identity, user, query, self._services.arms)
        if asked.explain and user != identity.user_id:
            # The reasons name plays; a list without them does not.
            client = scope.get("client")
            origin = client[0] if client else "unknown"
            await self._services.audit.note_reading(identity.user_id, user, origin)
        if not asked.costly:
            return Reply(200, await self._services.desk.ask(user, asked))
        try:
            return Reply(200, await self._services.slow.list(user, asked))
        except Exception:
            usual = without_arms(asked, query)
            if asked.arm == NO_ARM or usual.costly:
                raise
            # An experiment made the list costly, not the request: its listener gets the usual one.
            self._services.metrics.fell_back()
            return Reply(200, await self._services.desk.ask(user, usual))


def question(identity: Identity, user: str, query: bytes, arms: Arms) -> Asked:
    """Return the list that a request asks for; the fast path and the ASGI path share these rules.

    Raises
    ------
    ApiError
        400 for an invalid parameter, 403 if the caller may not read this listener's list, 404 for a
        name that no listener can have.
    """
    identity.check_acts_for(user)
    check_name(user)
    if b"arm=" in query:
        return _forced(identity, query, arms)
    return arms.asked(user, query)


def _forced(identity: Identity, query: bytes, arms: Arms) -> Asked:
    """Return what a tester asks for, who chooses the arm; such a list counts for no experiment."""
    asked = parameters(query)
    named = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("arm")
    if named is None:  # part of another parameter
        return asked
    identity.check_role(ADMIN_ROLE)
    experiment, _, arm = named[-1].partition(":")
    return arms.forced(asked, experiment, arm)


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
