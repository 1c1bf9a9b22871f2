"""Tokens: how they are read, and what they allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from api import auth
from api.auth import Accounts, Identity, token_of
from api.errors import ApiError
from contracts.accounts import token_hash
from contracts.breaker import Breaker


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, None),
        (b"", ""),
        (b"Token", ""),
        (b"Token abc", "abc"),
        (b"bearer  abc ", "abc"),
        (b"Token a b", ""),
        (b"Token \xff", "ÿ"),
    ],
)
def test_token_of(value: bytes | None, token: str | None) -> None:
    headers = [] if value is None else [(b"authorization", value)]
    assert token_of({"headers": headers}) == token


@pytest.mark.parametrize(
    ("roles", "own", "other"),
    [
        ({"listener"}, True, False),
        ({"client"}, True, True),
        ({"admin"}, True, True),
        ({"analyst"}, False, False),
        (set(), False, False),
    ],
)
def test_who_may_act_for_whom(roles: set[str], own: bool, other: bool) -> None:
    identity = Identity("ada", frozenset(roles))
    assert identity.may_act_for("ada") is own
    assert identity.may_act_for("bob") is other


def test_a_scrobbler_scrobbles_for_its_own_account_and_nothing_else() -> None:
    identity = Identity("ada", frozenset({"scrobbler"}))
    assert identity.may_scrobble_for("ada")
    assert not identity.may_scrobble_for("bob")
    assert not identity.may_act_for("ada")
    assert Identity("ada", frozenset({"listener"})).may_scrobble_for("ada")
    assert not Identity("eve", frozenset({"analyst"})).may_scrobble_for("eve")


def test_roles_are_checked() -> None:
    Identity("eve", frozenset({"analyst"})).check_role("analyst", "admin")
    with pytest.raises(ApiError) as caught:
        Identity("ada", frozenset({"listener"})).check_role("analyst", "admin")
    assert caught.value.status == 403


class Database:
    """A pool with one account, whose tokens change while they are asked about, or that is down."""

    def __init__(self) -> None:
        self.down = False
        self.meanwhile: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def connection(self, **_: object) -> AsyncIterator[Database]:
        if self.down:
            raise PoolTimeout
        yield self

    async def execute(self, *_: object) -> Database:
        return self

    async def fetchone(self) -> tuple[str, list[str], None]:
        self.meanwhile()
        return ("ada", ["listener"], None)


async def test_an_answer_of_before_a_revocation_is_not_kept_for_bad_times() -> None:
    database = Database()
    accounts = Accounts(cast(Any, database))
    database.meanwhile = lambda: accounts.forget(token_hash("t"))
    assert await accounts.identify("t") is not None  # it was good when it was asked about
    assert accounts.recall("t") is None
    database.down = True
    with pytest.raises(ApiError, match="cannot be read"):
        await accounts.identify("t")


@pytest.mark.parametrize("all_of_them", [False, True])
async def test_a_revocation_during_a_look_up_counts_each_time(all_of_them: bool) -> None:
    database = Database()
    accounts = Accounts(cast(Any, database))

    def revoke() -> None:
        if all_of_them:
            accounts.forget_all()
        else:
            accounts.forget(token_hash("t"))

    database.meanwhile = revoke
    for _ in range(2):
        revoke()
        assert await accounts.identify("t") is not None
        assert accounts.recall("t") is None


async def test_while_accounts_are_down_a_known_token_goes_on_and_a_revoked_one_does_not() -> None:
    database = Database()
    accounts = Accounts(cast(Any, database))
    for token in ("known", "revoked"):
        assert await accounts.identify(token) is not None
    database.down = True
    accounts.forget_all()
    accounts.forget(token_hash("revoked"))
    assert await accounts.identify("known") is not None
    with pytest.raises(ApiError, match="cannot be read"):
        await accounts.identify("revoked")


def test_a_refusal_names_the_listener_and_the_role_that_may() -> None:
    ada = Identity("ada", frozenset({"listener"}))
    ada.check_acts_for("ada")
    ada.check_scrobbles_for("ada")
    ada.check_owns_account()
    words = "This token may not act for 'bob': role client or admin does."
    for check in (ada.check_acts_for, ada.check_scrobbles_for):
        with pytest.raises(ApiError) as caught:
            check("bob")
        assert (caught.value.status, caught.value.message) == (403, words)
    with pytest.raises(ApiError) as caught:
        ada.check_role("analyst", "admin")
    assert caught.value.message == "This needs a token with the role analyst or admin."


@pytest.mark.parametrize(
    ("roles", "owns"),
    [({"scrobbler"}, False), (set(), False), ({"scrobbler", "listener"}, True), ({"admin"}, True)],
)
def test_a_session_of_a_player_does_not_manage_its_account(roles: set[str], owns: bool) -> None:
    identity = Identity("ada", frozenset(roles))
    if owns:
        identity.check_owns_account()
        return
    with pytest.raises(ApiError) as caught:
        identity.check_owns_account()
    assert caught.value.status == 403
    assert caught.value.message == "A player's session only scrobbles; use a token of the account."


def test_the_token_is_found_among_other_headers() -> None:
    headers = [(b"host", b"Token other"), (b"authorization", b"Token abc"), (b"accept", b"*/*")]
    assert token_of({"headers": headers}) == "abc"


class Clock:
    """Replaces the module ``time``; the test moves both clocks."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class Tokens:
    """A pool over rows by token; it records each statement, and fails with ``error`` if set."""

    def __init__(self, **rows: tuple[str, list[str], float | None]) -> None:
        self.rows = {token_hash(token): row for token, row in rows.items()}
        self.asked: list[tuple[str, tuple[bytes]]] = []
        self.error: Exception | None = None
        self.held: asyncio.Event | None = None

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Tokens]:
        assert timeout == 1.0
        if self.error is not None:
            raise self.error
        yield self

    async def execute(self, query: str, values: tuple[bytes]) -> Tokens:
        self.asked.append((query, values))
        return self

    async def fetchone(self) -> tuple[str, list[str], float | None] | None:
        (digest,) = self.asked[-1][1]
        if self.held is not None:
            await self.held.wait()
        return self.rows.get(digest)

    def count(self) -> int:
        """Return the statements since the last call."""
        found = len(self.asked)
        self.asked.clear()
        return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(auth, "time", found)
    return found


def accounts_of(pool: Tokens, clock: Clock) -> Accounts:
    accounts = Accounts(cast(Any, pool))
    accounts._breaker = Breaker(1.0, clock=clock.monotonic)
    return accounts


async def test_an_answer_serves_for_two_seconds_and_holds_the_whole_identity(clock: Clock) -> None:
    pool = Tokens(t=("ada", ["listener", "client"], 20_000.0))
    accounts = accounts_of(pool, clock)
    assert accounts.recall("t") is None
    identity = Identity("ada", frozenset({"listener", "client"}), 20_000.0)
    assert await accounts.identify("t") == identity
    assert pool.asked == [(auth._FIND, (token_hash("t"),))]
    pool.count()
    clock.now += auth.TTL - 0.01
    assert await accounts.identify("t") == accounts.recall("t") == identity
    assert pool.count() == 0
    clock.now += 0.01
    assert accounts.recall("t") is None
    assert await accounts.identify("t") == identity
    assert pool.count() == 1


async def test_an_unknown_token_is_remembered_as_unknown(clock: Clock) -> None:
    pool = Tokens()
    accounts = accounts_of(pool, clock)
    assert [await accounts.identify("t") for _ in range(2)] == [None, None]
    assert pool.count() == 1
    assert accounts.recall("t") is None


async def test_a_token_ends_at_its_second_also_from_memory(clock: Clock) -> None:
    accounts = accounts_of(Tokens(t=("ada", [], 10_001.0)), clock)
    assert await accounts.identify("t") is not None
    clock.now = 10_000.99
    assert accounts.recall("t") is not None
    clock.now = 10_001.0
    assert accounts.recall("t") is None
    assert await accounts.identify("t") is None


async def test_callers_with_one_token_share_one_question(clock: Clock) -> None:
    pool = Tokens(t=("ada", [], None))
    pool.held = asyncio.Event()
    accounts = accounts_of(pool, clock)
    callers = [asyncio.ensure_future(accounts.identify("t")) for _ in range(3)]
    while not pool.asked:
        await asyncio.sleep(0)
    callers[0].cancel()  # one caller leaves; the others still get the answer
    pool.held.set()
    gone, *answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert answers == [Identity("ada", frozenset(), None)] * 2
    assert pool.count() == 1
    assert not accounts._asking, "a question that was answered is not kept"


@pytest.mark.parametrize("error", [PoolTimeout(), OSError(), psycopg.OperationalError()])
async def test_postgresql_is_left_alone_for_a_second_after_a_failure(
    clock: Clock, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Tokens(t=("ada", [], None))
    accounts = accounts_of(pool, clock)
    pool.error = error
    with pytest.raises(ApiError) as caught:
        await accounts.identify("t")
    assert caught.value.status == 503
    assert caught.value.message == "The accounts cannot be read; try again in a few seconds"
    assert caplog.messages == [f"PostgreSQL (accounts) does not answer: {type(error).__name__}"]
    pool.error = None
    clock.now += 0.5
    with pytest.raises(ApiError):
        await accounts.identify("t")
    assert pool.count() == 0
    clock.now += 0.5
    assert await accounts.identify("t") is not None


def test_the_pause_after_a_failure_is_a_second() -> None:
    accounts = Accounts(cast(Any, None))
    accounts._breaker.failed()
    assert 0.0 < accounts._breaker.rests_for() <= 1.0


async def test_a_known_token_serves_for_an_hour_without_postgresql(clock: Clock) -> None:
    pool = Tokens(t=("ada", [], None))
    accounts = accounts_of(pool, clock)
    assert await accounts.identify("t") is not None
    pool.error = OSError()
    clock.now += auth.STALE
    assert await accounts.identify("t") is not None
    accounts.forget_all()  # makes no answer younger than it is
    clock.now += 1.0
    with pytest.raises(ApiError):
        await accounts.identify("t")


async def test_forgetting_asks_again(clock: Clock) -> None:
    pool = Tokens(a=("ada", [], None), b=("bob", [], None))
    accounts = accounts_of(pool, clock)
    for token in "ab":
        await accounts.identify(token)
    pool.count()
    accounts.forget(token_hash("a"))
    accounts.forget(token_hash("of nobody"))
    assert accounts.recall("a") is None
    assert accounts.recall("b") is not None
    assert await accounts.identify("a") is not None
    assert pool.count() == 1
    accounts.forget_all()
    assert accounts.recall("a") is accounts.recall("b") is None
    pool.error = OSError()
    assert await accounts.identify("a") is not None, "asked about again since it was revoked"


async def test_a_revoked_token_gets_no_younger(clock: Clock) -> None:
    pool = Tokens(t=("ada", [], None))
    accounts = accounts_of(pool, clock)
    await accounts.identify("t")
    clock.now += 5
    accounts.forget(token_hash("t"))
    assert accounts._entries[token_hash("t")].asked_at == 10_000.0


async def test_the_tokens_that_were_asked_about_longest_ago_are_dropped(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_CACHED", 2)
    pool = Tokens(**{name: (name, [], None) for name in "abc"})
    accounts = accounts_of(pool, clock)
    for token in "ab":
        await accounts.identify(token)
    clock.now += auth.TTL
    await accounts.identify("a")  # asked about again: now the younger of the two
    await accounts.identify("c")
    assert list(accounts._entries) == [token_hash("a"), token_hash("c")]


async def test_what_a_request_must_bring(clock: Clock) -> None:
    pool = Tokens(t=("ada", [], None))
    accounts = accounts_of(pool, clock)
    known = Identity("eve", frozenset())
    assert await accounts.require({auth.CALLER: known, "headers": []}) is known
    for value in (b"Token ", b"Token wrong"):
        with pytest.raises(ApiError) as caught:
            await accounts.require({"headers": [(b"authorization", value)]})
        assert caught.value.status == 401
    with pytest.raises(ApiError):
        await accounts.require({"headers": []})
    assert pool.count() == 1, "only a token that could be one is looked up"
    found = await accounts.require({"headers": [(b"authorization", b"Token t")]})
    assert found.user_id == "ada"
