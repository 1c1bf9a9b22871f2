"""The application over doubles of the log and the accounts: no server is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.auth import Accounts, Identity
from api.edge import Edge
from api.producer import LogRecord, PlayLog, Waiting
from api.services import Services
from api.serving.features import FeatureReader
from contracts.errors import BrokerUnavailable
from contracts.settings import Settings
from contracts.tracing import Context

TOKENS = {
    "ada-token": Identity("ada", frozenset({"listener"})),
    "player-token": Identity("player", frozenset({"client"})),
    "analyst-token": Identity("eve", frozenset({"analyst"})),
    "admin-token": Identity("admin", frozenset({"listener", "client", "analyst", "admin"})),
}


class KnownAccounts(Accounts):
    """Knows the tokens above."""

    def __init__(self) -> None:
        pass

    def recall(self, token: str) -> Identity | None:
        return TOKENS.get(token)

    async def identify(self, token: str) -> Identity | None:
        return TOKENS.get(token)


@dataclass
class MemoryLog(PlayLog):
    """Keeps what is appended; ``down`` makes it refuse."""

    records: list[LogRecord] = field(default_factory=list)
    down: bool = False
    queued: int = 0
    in_flight_bytes: int = 0
    refused: int = 0

    async def append(self, records: Sequence[LogRecord]) -> None:
        self.submit(records, None)

    def submit(
        self,
        records: Sequence[LogRecord],
        future: Waiting | None,
        trace: Context | None = None,
    ) -> None:
        if self.down:
            raise BrokerUnavailable("down")
        self.records.extend(records)
        if future is not None:
            asyncio.get_running_loop().call_later(0.01, future.set_result, None)


@dataclass
class World:
    """An application with its doubles."""

    app: Edge
    services: Services
    log: MemoryLog
    home: Path


@pytest.fixture(scope="session")
def session_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One application for the session; nothing listens at its addresses."""
    home = tmp_path_factory.mktemp("api")
    settings = Settings(
        home=home,
        kafka="127.0.0.1:1",
        redis_url="redis://127.0.0.1:1/0",
        postgres_dsn="postgresql://nobody@127.0.0.1:1/none",
    )
    services = Services(settings)
    log = MemoryLog()
    services.log = log
    services.accounts = KnownAccounts()
    return World(create_app(services), services, log, home)


@pytest.fixture
def world(session_world: World) -> World:
    """The application, its log empty; each test has an event loop of its own."""
    session_world.log.records.clear()
    session_world.log.down = False
    # The connections to Redis belong to the loop in which they were first asked for.
    services = session_world.services
    FeatureReader.__init__(
        services.features, services.redis, services.settings.redis_url, services.keys
    )
    return session_world


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the application; exceptions would come through, so none may."""
    transport = httpx.ASGITransport(app=world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://segue") as made:
        yield made
