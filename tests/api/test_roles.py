"""Every route of the application and every role: who is let in, and who is not.

The routes are the application's own. A route without a rule here fails the test: say who may ask.
Nothing listens at the addresses of the stores: a caller who is let in gets a 503 or the like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.auth import Identity
from contracts.accounts import ROLES
from tests.api.conftest import TOKENS, World

#: Everybody, also without a token; and every token, regardless of its roles.
OPEN, ANY = frozenset({"", *ROLES}), frozenset(ROLES)
OWN = frozenset({"listener", "client", "admin"})
SCROBBLES = OWN | {"scrobbler"}
ACCOUNT = ANY - {"scrobbler"}
LISTENER, ANALYST, ADMIN = (
    frozenset({"listener", "admin"}),
    frozenset({"analyst", "admin"}),
    frozenset({"admin"}),
)
PLAY = {"artist": "A", "title": "T", "played_at": 1_700_000_000_000}
LISTEN = {"listened_at": 1_700_000_000, "track_metadata": {"artist_name": "A", "track_name": "T"}}
EXPERIMENT = {
    "key": "variety", "hypothesis": "More variety, more plays.", "metric": "plays_per_day",
    "planned_end": "2099-01-01T00:00:00Z",
    "arms": [
        {"name": "control", "weight": 0.5},
        {"name": "varied", "weight": 0.5, "overrides": {"diversity": 0.5}},
    ],
}  # fmt: skip
MBID = "11111111-1111-4111-8111-111111111111"

#: Method and path -> who is let in about the account of `ada`, and a body where one is read first.
RULES: dict[str, tuple[frozenset[str], Any]] = {
    "POST /v1/plays": (SCROBBLES, {"plays": [PLAY]}),
    "POST /1/submit-listens": (SCROBBLES, {"listen_type": "single", "payload": [LISTEN]}),
    "GET /1/user/{user}/listens": (SCROBBLES, None),
    "GET /1/user/{user}/listen-count": (SCROBBLES, None),
    "GET /1/user/{user}/playing-now": (SCROBBLES, None),
    "POST /1/feedback/recording-feedback": (SCROBBLES, {"recording_mbid": MBID, "score": 1}),
    "GET /v1/users/{user}/recommendations": (OWN, None),
    "GET /v1/users/{user}/tracks/{track_id:path}/reasons": (OWN, None),
    "GET /1/stats/user/{user}/listening-activity": (OWN, None),
    "GET /1/stats/user/{user}/{entity}": (OWN, None),
    "GET /1/stats/user/{user}/daily-activity": (OWN, None),
    "GET /1/user/{user}/playlists": (OWN, None),
    "GET /1/user/{user}/playlists/createdfor": (OWN, None),
    "GET /1/user/{user}/playlists/recommendations": (OWN, None),
    "GET /1/user/{user}/playlists/collaborator": (OWN, None),
    "GET /1/user/{user}/playlists/search": (OWN, None),
    "GET /1/playlist/{playlist_id}": (OWN, None),
    "GET /1/user/{user}/following": (OWN, None),
    "POST /1/pin": (OWN, {"recording_mbid": MBID}),
    "POST /1/pin/unpin": (OWN, None),
    "POST /1/pin/delete/{row_id}": (OWN, None),
    "GET /1/{user}/pins": (OWN, None),
    "GET /1/{user}/pins/following": (OWN, None),
    "GET /1/user/{user}/followers": (OWN, None),
    "GET /1/user/{user}/similar-users": (OWN, None),
    "GET /1/cf/recommendation/user/{user}/recording": (OWN, None),
    "GET /1/feedback/user/{user}/get-feedback": (OWN, None),
    "GET /1/feedback/user/{user}/get-feedback-for-recordings": (OWN, None),
    "POST /1/feedback/user/{user}/get-feedback-for-recordings": (OWN, {"recording_mbids": [MBID]}),
    "POST /1/recommendation/feedback/submit": (OWN, {"recording_mbid": MBID, "rating": "like"}),
    "POST /1/recommendation/feedback/delete": (OWN, {"recording_mbid": MBID}),
    "GET /1/recommendation/feedback/user/{user}": (OWN, None),
    "GET /1/recommendation/feedback/user/{user}/recordings": (OWN, None),
    "POST /1/latest-import": (OWN, {"ts": 1}),
    "POST /1/delete-listen": (OWN, {"listened_at": 1, "recording_msid": MBID}),
    "POST /v1/feedback": (OWN, {"kind": "love", "artist": "A", "title": "T"}),
    "GET /v1/users/{user}/plays": (OWN, None),
    "GET /v1/users/{user}/plays/{event_id}": (OWN, None),
    "GET /v1/users/{user}/plays/{event_id}/life": (OWN, None),
    "GET /v1/users/{user}/what-if": (OWN, None),
    "DELETE /v1/users/{user}/plays/{event_id}": (OWN, None),
    "PATCH /v1/users/{user}/plays/{event_id}": (OWN, {}),
    "GET /v1/users/{user}/feedback": (OWN, None),
    "POST /v1/users/{user}/hidden-artists": (OWN, {"artist": "A"}),
    "POST /v1/users/{user}/hidden-artists/undo": (OWN, {"artist": "A"}),
    "GET /v1/users/{user}/stats": (OWN, None),
    "GET /v1/users/{user}/stats/months": (OWN, None),
    "DELETE /v1/users/{user}": (LISTENER, None),
    "GET /v1/users/{user}/export": (LISTENER, None),
    "POST /v1/users/{user}/imports": (LISTENER, None),
    "GET /v1/users/{user}/imports": (LISTENER, None),
    "GET /v1/users/{user}/imports/{import_id}": (LISTENER, None),
    "GET /v1/users/{user}/imports/{import_id}/refused": (LISTENER, None),
    "GET /v1/users/{user}/relays": (LISTENER, None),
    "PUT /v1/users/{user}/relays/{service}": (LISTENER, {"secret": "a"}),
    "DELETE /v1/users/{user}/relays/{service}": (LISTENER, None),
    "GET /v1/me/tokens": (ACCOUNT, None),
    "DELETE /v1/me/tokens/{token_id}": (ACCOUNT, None),
    "POST /v1/me/tokens": (LISTENER, {"label": "x"}),
    "PUT /v1/me/settings": (ACCOUNT, {}),
    "GET /v1/me": (ANY, None),
    "DELETE /v1/sessions/current": (ANY, None),
    "POST /v1/sessions/current/prolong": (ANY, None),
    "GET /v1/tracks/{track_id:path}/similar": (ANY, None),
    "GET /v1/model": (ANY, None),
    "GET /v1/trending": (ANY, None),
    "GET /v1/artists/{artist_id}": (ANY, None),
    "GET /v1/tracks/{track_id}": (ANY, None),
    "GET /v1/tracks": (ANY, None),
    "GET /v1/albums": (ANY, None),
    "GET /v1/search": (ANY, None),
    "GET /v1/stations": (ANY, None),
    "GET /1/metadata/lookup": (ANY, None),
    "GET /v1/runs": (ANALYST, None),
    "GET /v1/runs/{run_id}": (ANALYST, None),
    "GET /v1/experiments": (ANALYST, None),
    "GET /v1/experiments/{key}": (ANALYST, None),
    "POST /v1/experiments": (ADMIN, EXPERIMENT),
    "POST /v1/experiments/{key}/start": (ADMIN, None),
    "POST /v1/experiments/{key}/stop": (ADMIN, None),
    "GET /v1/metrics": (ANALYST, None),
    "GET /v1/metrics/{metric}": (ANALYST, None),
    "GET /v1/warehouse/models": (ANALYST, None),
    "GET /v1/warehouse/models/{name}": (ANALYST, None),
    "GET /v1/lineage/{name}": (ANALYST, None),
    "GET /v1/quality": (ANALYST, None),
    "GET /v1/reports": (ANALYST, None),
    "GET /v1/reports/{name}": (ANALYST, None),
    "GET /v1/tokens": (ADMIN, None),
    "GET /v1/audit": (ADMIN, None),
    "GET /v1/audit/verify": (ADMIN, None),
    "GET /v1/erasures": (ADMIN, None),
    "GET /v1/suspects": (ADMIN, None),
    "POST /v1/suspects/{user:path}/release": (ADMIN, None),
    "GET /v1/lake": (ADMIN, None),
    "GET /v1/lake/{table}/versions": (ADMIN, None),
    "POST /v1/dead-letters/replay": (ADMIN, {"ids": ["x"]}),
    "POST /v1/dead-letters/{letter_id}/replay": (ADMIN, None),
    "GET /v1/model/generations": (ANALYST, None),
    "GET /v1/model/history": (ANALYST, None),
    "GET /v1/catalogue/review": (ADMIN, None),
    "POST /v1/catalogue/review/{pair}": (ADMIN, {"decision": "merge"}),
    "POST /v1/model/generations/{generation}/promote": (ADMIN, None),
    "POST /v1/model/rollback": (ADMIN, None),
}
#: Open to all: operations with a key in the body or the address, and those without personal data.
OPEN_ROUTES = {
    "GET /openapi.json", "GET /docs", "GET /docs.js", "GET /docs/try", "GET /docs/try/{name}",
    "GET /favicon.ico", "GET /",
    "GET /healthz", "GET /readyz", "GET /metrics",
    "GET /1/validate-token", "GET /1/latest-import", "GET /v1/erasures/{request_id}",
    "POST /v1/sessions", "POST /2.0", "POST /2.0/", "GET /2.0", "GET /2.0/",
    "GET /api/auth", "GET /api/auth/", "POST /api/auth", "POST /api/auth/",
    "POST /audioscrobbler/np_1.2", "POST /audioscrobbler/protocol_1.2",
}  # fmt: skip
#: Whom they let in waits for Redis or Kafka, which is absent here. So only the refusals are asked.
WAITING = {
    "GET /v1/users/{user}/events": OWN,
    "GET /v1/operations": ADMIN,
    "GET /v1/dead-letters": ADMIN,
    "GET /v1/dead-letters/{letter_id}": ADMIN,
}


def routes(world: World) -> Iterator[str]:
    """Yield method and path of every route."""
    waiting = list(world.app._inner.routes)  # type: ignore[attr-defined]
    while waiting:
        route = waiting.pop()
        if (path := getattr(route, "path", None)) is None:
            waiting += route.original_router.routes
            continue
        yield from (f"{method} {path}" for method in (route.methods or set()) - {"HEAD"})


def test_every_route_has_a_rule(world: World) -> None:
    known = {*RULES, *OPEN_ROUTES, *WAITING}
    found = set(routes(world))
    assert found - known == set(), "say in RULES who may ask for these"
    assert known - found == set(), "these are no routes any more"


async def test_the_documentation_says_who_may_call(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    rules = {**{route: allowed for route, (allowed, _) in RULES.items()}, **WAITING}
    expected = {re.sub(r":path}", "}", route): allowed for route, allowed in rules.items()}
    wrong = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            allowed = expected.get(route, frozenset())
            said = frozenset(operation["x-roles"]), bool(operation["security"])
            if said != (allowed, bool(allowed)):
                wrong[route] = sorted(allowed)
    assert not wrong, "say so in api/access.py"


@pytest.fixture
def roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the account `ada` with each role alone, except that the client is another's."""
    for role in ROLES:
        user = "player" if role in ("client", "admin") else "ada"
        monkeypatch.setitem(TOKENS, f"only-{role}", Identity(user, frozenset({role})))


@pytest.mark.parametrize("route", sorted({*RULES}))
async def test_who_is_let_in(client: httpx.AsyncClient, roles: None, route: str) -> None:
    allowed, body = RULES[route]
    method, _, path = route.partition(" ")
    path = path.replace("{user}", "ada").replace("{entity}", "artists")
    path = path.replace("{token_id}", "abcdef01").replace("{generation}", "7")
    path = re.sub(r"\{[^}]*\}", MBID, path)
    if path == "/v1/albums":
        path += "?artist=A&name=B"
    if path.endswith("/ada/stats"):
        path += "?from=2024-01-01&to=2024-01-31"
    let_in = set()
    for role in ("", *ROLES):
        headers = {"authorization": f"Token only-{role}"} if role else {}
        answer = await client.request(method, path, headers=headers, json=body)
        if answer.status_code not in (401, 403):
            let_in.add(role)
    assert let_in == allowed


@pytest.mark.parametrize("route", sorted(WAITING))
async def test_who_is_refused_where_the_answer_waits(
    client: httpx.AsyncClient, roles: None, route: str
) -> None:
    method, _, path = route.partition(" ")
    for role in {"", *ROLES} - WAITING[route]:
        headers = {"authorization": f"Token only-{role}"} if role else {}
        answer = await client.request(method, path.replace("{user}", "ada"), headers=headers)
        assert answer.status_code in (401, 403), role or "no token"
