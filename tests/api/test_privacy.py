"""Who may export and erase: the listener and administrators, no client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg_pool import PoolTimeout

from api import privacy
from api.auth import Identity
from api.errors import ApiError
from api.privacy import check_own
from contracts.accounts import REVOKE_ALL
from contracts.audit import INSERT
from contracts.erasure_requests import ASK


@pytest.mark.parametrize(
    ("name", "roles", "may"),
    [
        ("ada", {"listener"}, True),
        ("ada", {"client"}, False),
        ("ada", {"analyst"}, False),
        ("ada", {"scrobbler"}, False),
        ("bob", {"listener"}, False),
        ("bob", {"client"}, False),
        ("bob", {"listener", "client", "analyst"}, False),
        ("bob", {"admin"}, True),
    ],
)
def test_only_the_listener_and_administrators(name: str, roles: set[str], may: bool) -> None:
    caller = Identity(name, frozenset(roles))
    if may:
        check_own(caller, "ada")
        return
    with pytest.raises(
        ApiError, match=r"^Only 'ada' and an administrator may do this\.$"
    ) as refused:
        check_own(caller, "ada")
    assert refused.value.status == 403


def test_a_name_that_is_none_is_refused_before_anything_else() -> None:
    with pytest.raises(ApiError, match="1 to 256 printable characters") as refused:
        check_own(Identity("bob", frozenset({"listener"})), " ada")
    assert (refused.value.status, refused.value.code, refused.value.field) == (
        400,
        "bad-text",
        "user",
    )


class Erasures:
    """A pool that records what each transaction ran; statement number ``fails`` fails."""

    def __init__(self, fails: int = -1) -> None:
        self.ran: list[tuple[str, Any]] = []
        self.fails = fails
        self.committed = False

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Erasures]:
        assert timeout == 1.0
        if self.fails == 0:
            raise PoolTimeout
        yield self

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield
        self.committed = True

    async def execute(self, query: str, values: Any) -> Erasures:
        assert not self.committed
        self.ran.append((query, values))
        if len(self.ran) == self.fails:
            raise psycopg.OperationalError
        return self

    async def fetchone(self) -> tuple[str]:
        return ("request-7",)


def services(pool: Erasures) -> Any:
    return SimpleNamespace(account_pool=pool)


async def test_tokens_end_and_the_trail_knows_in_one_transaction() -> None:
    pool = Erasures()
    caller = Identity("root", frozenset({"admin"}))
    assert await privacy._ask(services(pool), caller, "ada", "10.0.0.1") == "request-7"
    assert pool.committed
    (revoked, asked, noted) = pool.ran
    assert revoked == (REVOKE_ALL, {"user": "ada"})
    assert asked == (ASK, {"user": "ada", "event": None})
    assert noted[0] == INSERT
    detail = '{"request":"request-7"}'
    assert {**noted[1], "detail": noted[1]["detail"].replace(" ", "")} == {
        "actor": "root", "action": "data.erase", "subject": "ada", "origin": "10.0.0.1",
        "outcome": "requested", "detail": detail,
    }  # fmt: skip


@pytest.mark.parametrize("fails", [0, 1, 2, 3])
async def test_a_request_that_was_not_recorded_is_a_503_and_changes_nothing(fails: int) -> None:
    pool = Erasures(fails)
    with pytest.raises(ApiError) as caught:
        await privacy._ask(services(pool), Identity("ada", frozenset()), "ada", "-")
    assert caught.value.status == 503
    assert caught.value.message == "The erasure was not recorded; try again in a few seconds"
    assert not pool.committed


def test_the_status_of_an_erasure() -> None:
    asked, number = datetime(2026, 1, 31, 2, 0, 0, 999, UTC), UUID(int=7)
    steps = {"lake": {"plays": 3}}
    open_ = privacy.ErasureStatus.of((number, "running", steps, "the learner", asked, None))
    assert msgspec.to_builtins(open_) == {
        "id": str(number), "state": "running", "steps": steps, "waiting_for": "the learner",
        "requested_at": "2026-01-31T02:00:00+00:00", "finished_at": None,
    }  # fmt: skip
    done = privacy.ErasureStatus.of((number, "done", {}, "", asked, asked + timedelta(hours=1)))
    assert (done.state, done.finished_at) == ("done", "2026-01-31T03:00:00+00:00")
