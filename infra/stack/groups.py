"""Which packages this installation asks for: what every role needs, and the optional groups."""

from __future__ import annotations

import importlib.metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: The name under which :func:`requirements` lists what every role needs.
BASE = ""


def requirements() -> dict[str, list[Requirement]]:
    """Return what each group asks for on this machine, by the name of the group.

    The group ``all`` is left out: it names the others.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        Segue itself is not installed.
    """
    metadata = importlib.metadata.metadata("segue")
    wanted = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    groups = [BASE, *(metadata.get_all("Provides-Extra") or [])]
    always = {str(r) for r in wanted if _applies(r, BASE)}
    return {
        group: [r for r in wanted if _applies(r, group) and (group == BASE or str(r) not in always)]
        for group in groups
        if group != "all"
    }


def _applies(requirement: Requirement, group: str) -> bool:
    if canonicalize_name(requirement.name) == "segue":
        return False
    return requirement.marker is None or requirement.marker.evaluate({"extra": group})


def installed(requirement: Requirement) -> str | None:
    """Return the installed version of a package, ``None`` when it is missing."""
    try:
        return importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing(group: str) -> list[str]:
    """Return the names of a group's packages that are not installed."""
    return [r.name for r in requirements().get(group, []) if installed(r) is None]


def that_bring(module: str) -> list[str]:
    """Return the groups that bring a module: by its name, which starts its package's name.

    Examples
    --------
    >>> that_bring("faust")
    ['streams']
    >>> that_bring("no_such_module")
    []
    """
    return [
        group
        for group, wanted in requirements().items()
        if any(r.name.replace("-", "_").lower().startswith(module.lower()) for r in wanted)
    ]
