"""What the reading methods share: whose data may be read, pages, and errors of the stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from api.errors import ApiError
from api.lastfm.errors import (
    INVALID_PARAMETERS,
    INVALID_SESSION,
    LOGIN_REQUIRED,
    RATE_LIMIT,
    LastfmError,
    try_again,
)
from api.lastfm.params import Params
from api.lastfm.sessions import identify
from api.lastfm.tree import Node
from api.services import Services
from contracts.listeners import listener_name

T = TypeVar("T")
MOST = 200


async def reader(services: Services, params: Params) -> str:
    """Return whose data is asked for, once it is sure that the caller may see it.

    Widgets and players that only read send no session key: an API token as ``api_key`` will do.

    Raises
    ------
    LastfmError
        9: the session key is not good (any more); 17: there is none, or it is another listener's;
        6: nobody has this name; 16.
    """
    key = params.get("sk")
    identity = await identify(services, key or params.get("api_key"))
    if identity is None:
        if key:
            raise LastfmError(INVALID_SESSION, "Invalid session key - Please re-authenticate")
        raise LastfmError(LOGIN_REQUIRED, "Login: the call needs a session key (sk).")
    named = params.get("user") or params.get("username")
    user = listener_name(named) if named else identity.user_id
    if not identity.may_scrobble_for(user):
        raise LastfmError(LOGIN_REQUIRED, "Login: only a listener sees the own plays.")
    if "\x00" in user:
        raise LastfmError(INVALID_PARAMETERS, "User not found")
    if user != identity.user_id:
        try:
            await services.audit.note_reading(identity.user_id, user, params.origin)
        except ApiError:  # what cannot be put on record may not be read
            raise try_again() from None
    return user


def number(params: Params, name: str, default: int) -> int:
    """Return a whole number.

    Raises
    ------
    LastfmError
        6.
    """
    text = params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise LastfmError(INVALID_PARAMETERS, f"{name} must be a whole number.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for; pages count from 1."""

    limit: int
    number: int

    @classmethod
    def of(cls, params: Params) -> Page:
        """Read ``limit`` and ``page``."""
        limit = min(MOST, max(1, number(params, "limit", 50)))
        return cls(limit, min(100_000, max(1, number(params, "page", 1))))

    @property
    def skipped(self) -> int:
        """How many items come before this page."""
        return self.limit * (self.number - 1)

    def cut(self, items: Sequence[T]) -> list[tuple[int, T]]:
        """Return the items of this page with their rank in the list."""
        shown = items[self.skipped : self.skipped + self.limit]
        return list(enumerate(shown, start=self.skipped + 1))

    def node(self, name: str, holds: str, total: int, children: list[Node], **about: str) -> Node:
        """Return an answer: this page of `total` items."""
        attributes = {
            **about,
            "page": str(self.number),
            "perPage": str(self.limit),
            "totalPages": str(-(-total // self.limit)),
            "total": str(total),
        }
        return Node(name, attributes=attributes, children=children, holds=holds)


def as_lastfm(error: ApiError) -> LastfmError:
    """Return an error of the rest of the API as Last.fm has it."""
    if error.status >= 500:
        return try_again()
    if error.status == 429:
        return LastfmError(RATE_LIMIT, error.message)
    if error.status == 403:
        return LastfmError(LOGIN_REQUIRED, error.message)
    return LastfmError(INVALID_PARAMETERS, error.message)
