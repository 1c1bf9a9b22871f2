"""The entries of the navigation: groups of at most seven pages that the visitor may see."""

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
        """Return the address of the entry that a page belongs to; empty: none of this group."""
        found = [
            entry.address
            for entry in self.entries
            if path == entry.address or path.startswith(entry.address.rstrip("/") + "/")
        ]
        best = max(found, key=len, default="")
        # The page What next is at the root, a prefix of every other path.
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
#: In the group Operation for administrators; in the group Analytics for analysts without that role.
_RUNS = ("/ops/runs", "Runs")
_ANALYTICS = (
    ("/analytics", "Overview"),
    ("/analytics/model", "Model quality"),
    ("/analytics/experiments", "Experiments"),
    ("/analytics/lineage", "Lineage"),
    ("/analytics/quality", "Quality"),
)
_OPERATION = (
    ("/ops", "Operation"),
    ("/ops/dead-letters", "Dead letters"),
    _RUNS,
    ("/ops/lake", "Lake"),
    ("/ops/models", "Models"),
    ("/ops/catalogue", "Catalogue"),
    ("/ops/suspects", "Suspects"),
)
_PEOPLE = (
    ("/ops/tokens", "Tokens and roles"),
    ("/ops/erasures", "Erasures"),
    ("/ops/audit", "Audit trail"),
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
        pages = _ANALYTICS if session.may("admin") else (*_ANALYTICS, _RUNS)
        groups.append(_group("Analytics", pages))
    if session.may("admin"):
        groups += [_group("Operation", _OPERATION), _group("Accounts", _PEOPLE)]
    return groups


def _group(name: str, pages: tuple[tuple[str, str], ...]) -> Group:
    return Group(name, [Entry("/ui" + path, title) for path, title in pages])


def current(groups: list[Group], path: str) -> Group | None:
    """Return the group whose entry is nearest to a page: the first (music) where none is."""
    return max(groups, key=lambda group: len(group.nearest(path)), default=None)
