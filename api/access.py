"""Which roles may call which operation, for the documentation.

``tests/api/test_roles.py`` fails where the application behaves otherwise.

The rules themselves are enforced where a request is answered (:class:`api.auth.Identity`).
"""

from __future__ import annotations

from contracts.accounts import (
    ADMIN_ROLE,
    ANALYST_ROLE,
    CLIENT_ROLE,
    LISTENER_ROLE,
    ROLES,
    SCROBBLER_ROLE,
)

ANY = frozenset(ROLES)
OWN = frozenset({LISTENER_ROLE, CLIENT_ROLE, ADMIN_ROLE})
SCROBBLES = OWN | {SCROBBLER_ROLE}
ACCOUNT = ANY - {SCROBBLER_ROLE}
LISTENER = frozenset({LISTENER_ROLE, ADMIN_ROLE})
ANALYST = frozenset({ANALYST_ROLE, ADMIN_ROLE})
ADMIN = frozenset({ADMIN_ROLE})

#: Roles -> method and path of the operations that take one of them.
_OPERATIONS: dict[frozenset[str], tuple[str, ...]] = {
    SCROBBLES: (
        "POST /v1/plays",
        "POST /1/submit-listens",
        "GET /1/user/{user}/listens",
        "GET /1/user/{user}/listen-count",
        "GET /1/user/{user}/playing-now",
        "POST /1/feedback/recording-feedback",
    ),
    OWN: (
        "GET /v1/users/{user}/recommendations",
        "GET /v1/users/{user}/tracks/{track_id}/reasons",
        "GET /1/stats/user/{user}/listening-activity",
        "GET /1/stats/user/{user}/{entity}",
        "GET /1/stats/user/{user}/daily-activity",
        "GET /1/user/{user}/playlists",
        "GET /1/user/{user}/playlists/createdfor",
        "GET /1/user/{user}/playlists/recommendations",
        "GET /1/user/{user}/playlists/collaborator",
        "GET /1/user/{user}/playlists/search",
        "GET /1/playlist/{playlist_id}",
        "GET /1/user/{user}/following",
        "POST /1/pin",
        "POST /1/pin/unpin",
        "POST /1/pin/delete/{row_id}",
        "GET /1/{user}/pins",
        "GET /1/{user}/pins/following",
        "GET /1/user/{user}/followers",
        "GET /1/user/{user}/similar-users",
        "GET /1/cf/recommendation/user/{user}/recording",
        "GET /1/feedback/user/{user}/get-feedback",
        "GET /1/feedback/user/{user}/get-feedback-for-recordings",
        "POST /1/feedback/user/{user}/get-feedback-for-recordings",
        "POST /1/recommendation/feedback/submit",
        "POST /1/recommendation/feedback/delete",
        "GET /1/recommendation/feedback/user/{user}",
        "GET /1/recommendation/feedback/user/{user}/recordings",
        "POST /1/latest-import",
        "POST /1/delete-listen",
        "POST /v1/feedback",
        "GET /v1/users/{user}/plays",
        "GET /v1/users/{user}/plays/{event_id}",
        "GET /v1/users/{user}/plays/{event_id}/life",
        "GET /v1/users/{user}/what-if",
        "DELETE /v1/users/{user}/plays/{event_id}",
        "PATCH /v1/users/{user}/plays/{event_id}",
        "GET /v1/users/{user}/feedback",
        "POST /v1/users/{user}/hidden-artists",
        "POST /v1/users/{user}/hidden-artists/undo",
        "GET /v1/users/{user}/stats",
        "GET /v1/users/{user}/stats/months",
        "GET /v1/users/{user}/events",
    ),
    LISTENER: (
        "DELETE /v1/users/{user}",
        "GET /v1/users/{user}/export",
        "POST /v1/users/{user}/imports",
        "GET /v1/users/{user}/imports",
        "GET /v1/users/{user}/imports/{import_id}",
        "GET /v1/users/{user}/imports/{import_id}/refused",
        "GET /v1/users/{user}/relays",
        "PUT /v1/users/{user}/relays/{service}",
        "DELETE /v1/users/{user}/relays/{service}",
        "POST /v1/me/tokens",
    ),
    ACCOUNT: (
        "GET /v1/me/tokens",
        "DELETE /v1/me/tokens/{token_id}",
        "PUT /v1/me/settings",
    ),
    ANY: (
        "GET /v1/me",
        "DELETE /v1/sessions/current",
        "POST /v1/sessions/current/prolong",
        "GET /v1/tracks/{track_id}/similar",
        "GET /v1/model",
        "GET /v1/trending",
        "GET /v1/artists/{artist_id}",
        "GET /v1/tracks/{track_id}",
        "GET /v1/tracks",
        "GET /v1/albums",
        "GET /v1/search",
        "GET /v1/stations",
        "GET /1/metadata/lookup",
    ),
    ANALYST: (
        "GET /v1/runs",
        "GET /v1/runs/{run_id}",
        "GET /v1/experiments",
        "GET /v1/experiments/{key}",
        "GET /v1/metrics",
        "GET /v1/metrics/{metric}",
        "GET /v1/warehouse/models",
        "GET /v1/warehouse/models/{name}",
        "GET /v1/lineage/{name}",
        "GET /v1/quality",
        "GET /v1/model/generations",
        "GET /v1/model/history",
        "GET /v1/reports",
        "GET /v1/reports/{name}",
    ),
    ADMIN: (
        "POST /v1/experiments",
        "POST /v1/experiments/{key}/start",
        "POST /v1/experiments/{key}/stop",
        "GET /v1/tokens",
        "GET /v1/audit",
        "GET /v1/audit/verify",
        "GET /v1/erasures",
        "GET /v1/catalogue/review",
        "POST /v1/catalogue/review/{pair}",
        "GET /v1/suspects",
        "POST /v1/suspects/{user}/release",
        "GET /v1/operations",
        "GET /v1/dead-letters",
        "GET /v1/dead-letters/{letter_id}",
        "POST /v1/dead-letters/replay",
        "POST /v1/dead-letters/{letter_id}/replay",
        "POST /v1/model/generations/{generation}/promote",
        "POST /v1/model/rollback",
        "GET /v1/lake",
        "GET /v1/lake/{table}/versions",
    ),
}
#: Method and path -> roles of which the token must have one.
ROLES_OF: dict[str, frozenset[str]] = {
    operation: roles for roles, operations in _OPERATIONS.items() for operation in operations
}
#: Operations without a token: they expose no listener's data, or the request has its own proof.
OPEN = frozenset(
    {
        "GET /1/validate-token",
        "GET /1/latest-import",
        "GET /v1/erasures/{request_id}",
        "POST /v1/sessions",
        "POST /2.0/",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }
)


def in_words(operation: str) -> str:
    """Return who may call an operation, in a sentence.

    Examples
    --------
    >>> in_words("GET /v1/audit")
    'Roles: admin.'
    >>> in_words("GET /v1/users/{user}/export")
    'Roles: listener (own data), admin.'
    """
    if operation in OPEN:
        return "Needs no token."
    roles = ROLES_OF.get(operation)
    if roles is None:
        return ""
    if roles == ANY:
        return "Any token."
    own = {"listener": "listener (own data)", "scrobbler": "scrobbler (own data)"}
    named = own if "{user}" in operation or roles in (OWN, SCROBBLES) else {}
    return f"Roles: {', '.join(named.get(role, role) for role in ROLES if role in roles)}."
