"""The pages over doubles of the API and of Redis: every state of every page without a server."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from redis.exceptions import TimeoutError as RedisTimeout

from contracts.settings import Settings
from web.api import Api
from web.app import create_app
from web.sessions import Session
from web.site import Site

HOSTILE = "<img src=x onerror=alert(1)>\"'‮{{7*7}}"
CSRF = "00112233445566778899aabbccddeeff"
ROLES = ["admin", "analyst", "client", "listener"]
Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]


@dataclass
class Pipeline:
    """Reads that are sent together."""

    redis: MemoryRedis
    keys: list[str]

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def get(self, key: str) -> None:
        self.keys.append(key)

    async def execute(self) -> list[bytes | None]:
        self.redis._check()
        self.redis.reads += 1
        if self.redis.late:
            self.redis.late -= 1
            raise RedisTimeout("late")
        await asyncio.sleep(0)
        return [self.redis.values.get(key) for key in self.keys]


class MemoryRedis:
    """As much of Redis as sessions need; ``down`` makes it refuse, ``late`` reads time out."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.down = False
        self.reads = self.late = 0

    def _check(self) -> None:
        if self.down:
            raise ConnectionError("down")

    async def get(self, key: str) -> bytes | None:
        self._check()
        return self.values.get(key)

    def pipeline(self, *, transaction: bool) -> Pipeline:
        assert not transaction
        return Pipeline(self, [])

    async def set(self, key: str, value: bytes, ex: int) -> None:
        self._check()
        assert ex > 0
        self.values[key] = value

    async def delete(self, key: str) -> None:
        self._check()
        self.values.pop(key, None)

    async def aclose(self) -> None:
        pass


@dataclass
class FakeApi:
    """Answers by pattern of ``METHOD path``; what nobody answers is a 404, as in the real one."""

    answers: list[tuple[str, Answer]] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)
    away: bool = False

    def on(self, pattern: str, answer: Any, status: int = 200) -> None:
        """Answer requests whose ``METHOD path`` matches; the latest rule counts."""
        if not isinstance(answer, httpx.Response) and not callable(answer):
            answer = httpx.Response(status, json=answer)
        self.answers.insert(0, (pattern, answer))

    def refuse(self, pattern: str, status: int, code: str, message: str, field: str = "") -> None:
        """Refuse requests as the API does."""
        error = {"code": code, "message": message, "field": field or None}
        self.on(pattern, {"error": error}, status)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.away:
            raise httpx.ConnectError("down")
        said = f"{request.method} {request.url.path}"
        for pattern, answer in self.answers:
            if re.fullmatch(pattern, said):
                return answer(request) if callable(answer) else answer
        error = {"code": "not-found", "message": "There is nothing here; see /docs."}
        return httpx.Response(404, json={"error": error})

    def bodies(self, pattern: str) -> list[bytes]:
        """Return the bodies of requests that matched."""
        return [r.content for r in self.asked if re.fullmatch(pattern, f"{r.method} {r.url.path}")]


class World:
    """The application, its doubles, and a browser's cookie."""

    def __init__(self, **settings: Any) -> None:
        self.fake = FakeApi()
        transport = httpx.MockTransport(self.fake.handle)
        self.site = Site(Settings(**settings), Api("http://api", transport))
        self.redis = MemoryRedis()
        self.site.sessions._redis = self.redis  # type: ignore[assignment]
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(self.site)), base_url="http://pages"
        )

    async def sign_in(self, user: str = "ada", roles: list[str] | None = None, **more: Any) -> None:
        """Have the client carry a session."""
        session = Session(
            token="t", user=user, roles=roles or ["listener"], csrf=CSRF,
            **({"expires": time.time() + 3600, "asked": time.time()} | more),
        )  # fmt: skip
        self.client.cookies.set(self.site.cookie, await self.site.sessions.make(session))

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form as a browser sends one of ours."""
        from web.csrf import mask

        return await self.client.post(
            path,
            data={"csrf": mask(CSRF), **form},
            headers={"sec-fetch-site": "same-origin", **headers},
        )


def full(fake: FakeApi, name: str = "Air") -> None:
    """Have the API answer every page with something; names are ``name``."""
    from tests.web.answers import ANSWERS

    for pattern, answer in ANSWERS(name):
        fake.on(pattern, answer)
