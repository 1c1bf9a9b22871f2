"""Who may export and erase: the listener and administrators, no client."""

from __future__ import annotations

import pytest

from api.auth import Identity
from api.errors import ApiError
from api.privacy import check_own


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
    with pytest.raises(ApiError, match="Only 'ada' and an administrator may do this") as refused:
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
