"""Tokens: how they are read, and what they allow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from psycopg_pool import PoolTimeout

from api.auth import Accounts, Identity, token_of
from api.errors import ApiError
from contracts.accounts import token_hash


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
