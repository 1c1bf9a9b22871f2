"""Tokens: how they are read, and what they allow."""

from __future__ import annotations

import pytest

from api.auth import Identity, token_hash, token_of
from api.errors import ApiError
from infra.stack.accounts import token_hash as made_with


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


def test_tokens_are_hashed_as_they_were_made() -> None:
    assert token_hash("abc") == made_with("abc")


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


def test_roles_are_checked() -> None:
    Identity("eve", frozenset({"analyst"})).check_role("analyst", "admin")
    with pytest.raises(ApiError) as caught:
        Identity("ada", frozenset({"listener"})).check_role("analyst", "admin")
    assert caught.value.status == 403
