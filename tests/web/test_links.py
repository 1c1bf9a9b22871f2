"""Every address that a page links to answers, and no page shows what its token may not read.

The API is a double that asks the real table of roles about each call.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest

from api.access import OPEN, ROLES_OF
from tests.web.doubles import World, full
from tests.web.markup import read
from tests.web.test_pages import ADMIN, ANALYST, LISTENER

#: Who signs in -> roles of the token, and where the visit begins.
VISITORS: dict[str, tuple[list[str], list[str]]] = {
    "listener": (["listener"], list(LISTENER)),
    "analyst": (["analyst"], list(ANALYST)),
    "operator": (["admin", "analyst", "client", "listener"], [*LISTENER, *ANALYST, *ADMIN]),
}
#: Addresses of a page that are no pages: streams do not end.
_STREAMS = ("/ui/live", "/ui/ops/live")
_TABLE = [
    (re.compile(re.sub(r"\\\{[^}]*\\\}", ".+", re.escape(operation))), frozenset(roles))
    for operation, roles in ROLES_OF.items()
]


def may(roles: list[str], request: httpx.Request) -> bool:
    """Whether the API lets a token with these roles do this."""
    said = f"{request.method} {request.url.path}"
    found = [allowed for pattern, allowed in _TABLE if pattern.fullmatch(said)]
    opened = any(
        re.fullmatch(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(operation)), said)
        for operation in OPEN
    )
    return opened or not found or any(not allowed.isdisjoint(roles) for allowed in found)


@pytest.mark.parametrize("visitor", VISITORS)
async def test_every_link_answers(visitor: str) -> None:
    roles, starts = VISITORS[visitor]
    world = World()
    full(world.fake)
    file = httpx.Response(200, content=b"x", headers={"content-type": "text/plain"})
    world.fake.on(r"GET /v1/users/[^/]+/(export|imports/[^/]+/refused)", file)
    await world.sign_in("ada", roles)
    waiting, seen, dead = [(start, "the start") for start in starts], set(starts), []
    while waiting:
        address, source = waiting.pop()
        answer = await world.client.get(address)
        if answer.status_code >= 400:
            dead.append(f"{address} ({answer.status_code}), linked from {source}")
            continue
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for link in read(answer.text).links:
            target = urljoin(f"http://pages{address}", link).partition("#")[0]
            path = target.removeprefix("http://pages")
            if path.startswith("/ui") and path not in seen and not path.startswith(_STREAMS):
                seen.add(path)
                waiting.append((path, address))
        assert len(seen) < 1000, "the pages link without an end"
    assert not dead, "\n".join(dead)
    # What the API would have refused was shown nevertheless, or asked for in vain.
    refused = {f"{r.method} {r.url.path}" for r in world.fake.asked if not may(roles, r)}
    assert not refused, refused


@pytest.mark.parametrize("visitor", ["listener", "analyst"])
async def test_what_another_role_reads_is_neither_shown_nor_asked_for(visitor: str) -> None:
    roles, starts = VISITORS[visitor]
    world = World()
    full(world.fake)
    await world.sign_in("ada", roles)
    for address in {*ADMIN, *ANALYST, *LISTENER} - {*starts}:
        before = len(world.fake.asked)
        answer = await world.client.get(address)
        asked = world.fake.asked[before:]
        assert answer.status_code in (200, 303, 403), address
        assert all(may(roles, request) for request in asked), address
        if answer.status_code == 403:
            assert not asked, address
