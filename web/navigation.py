"""What is in the navigation: three groups of at most seven, each only for those who may see it."""

from __future__ import annotations

from typing import NamedTuple

from web.sessions import Session


class Entry(NamedTuple):
    """A page in the navigation."""

    address: str
    name: str


class Group(NamedTuple):
    """A group of pages."""

    name: str
    entries: list[Entry]

    def nearest(self, path: str) -> str:
        """Return the entry a page belongs to; empty: none of this group."""
        found = [
            entry.address
            for entry in self.entries
            if path == entry.address or path.startswith(entry.address.rstrip("/") + "/")
        ]
        best = max(found, key=len, default="")
        # What next stands at the root, which everything begins with.
        return best if best.count("/") > 2 or path == best or not best.endswith("/") else ""


_MUSIC = (
    ("/", "What next"),
    ("/plays", "History"),
    ("/stats", "Statistics"),
    ("/search", "Search"),
    ("/stations", "Stations"),
    ("/taste", "Taste"),
    ("/connect", "Connect a player"),
)
_ANALYTICS = (
    ("/analytics", "Reports"),
    ("/analytics/model", "Model quality"),
)
_OPERATION = (
    ("/ops", "Operation"),
    ("/ops/runs", "Runs"),
    ("/ops/audit", "Audit trail"),
    ("/ops/erasures", "Erasures"),
    ("/ops/tokens", "Tokens and roles"),
)


def groups_for(session: Session, base: str) -> list[Group]:
    """Return the groups a visitor may see.

    Parameters
    ----------
    base
        Beginning of the addresses of a listener's pages.
    """
    groups = []
    if session.may("listener"):
        groups.append(Group("Music", [Entry(base + path, name) for path, name in _MUSIC]))
    if session.may("analyst"):
        groups.append(Group("Analytics", [Entry("/ui" + path, name) for path, name in _ANALYTICS]))
    if session.may("admin"):
        groups.append(Group("Operation", [Entry("/ui" + path, name) for path, name in _OPERATION]))
    return groups


def current(groups: list[Group], path: str) -> Group | None:
    """Return the group a page belongs to: the first (music) for pages no group names."""
    named = [group for group in groups if group.nearest(path)]
    return next(iter([*named, *groups]), None)
