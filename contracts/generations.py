"""Generations of the nightly model: list, promote, roll back.

The file ``current`` holds the number of the generation in service (:mod:`contracts.batch_view`).
The learner reads it every few seconds, so a roll-back needs no retraining and no restart.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from contracts import batch_view
from contracts.batch_view import Manifest
from contracts.errors import ConfigurationError, IncompatibleState


class Generation(msgspec.Struct, kw_only=True):
    """One stored generation.

    Attributes
    ----------
    in_service
        The online ranker uses this generation.
    manifest
        ``None`` if the generation cannot be read; ``trouble`` is the reason.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     generations(Path(folder))
    []
    """

    generation: int
    in_service: bool
    manifest: Manifest | None = None
    trouble: str = ""


def generations(folder: Path) -> list[Generation]:
    """Return every stored generation, newest first."""
    service = batch_view.current(folder)
    found = []
    for number in reversed(batch_view.generations(folder)):
        entry = Generation(generation=number, in_service=number == service)
        try:
            entry.manifest = batch_view.read_manifest(folder, number)
        except IncompatibleState as error:
            entry.trouble = str(error)
        found.append(entry)
    return found


def in_service(folder: Path) -> int | None:
    """Return the generation in service, if there is one."""
    return batch_view.current(folder)


def promote(folder: Path, generation: int) -> Generation:
    """Put a generation into service and return it.

    Raises
    ------
    ConfigurationError
        It is not stored, is already in service, or cannot be read. The current one stays.
    """
    kept = {entry.generation: entry for entry in generations(folder)}
    entry = kept.get(generation)
    if entry is None:
        there = ", ".join(map(str, sorted(kept))) or "none yet; run `segue nightly`"
        raise ConfigurationError(f"refused: generation {generation} is not stored; stored: {there}")
    if entry.in_service:
        raise ConfigurationError(f"refused: generation {generation} is already in service")
    if entry.manifest is None:
        raise ConfigurationError(f"refused: {entry.trouble}")
    try:
        batch_view.read(folder, generation)
    except IncompatibleState as error:
        raise ConfigurationError(f"refused: {error}") from None
    batch_view.promote(folder, generation)
    entry.in_service = True
    return entry


def roll_back(folder: Path) -> Generation:
    """Put the newest readable generation before the one in service into service; return it.

    Raises
    ------
    ConfigurationError
        Nothing is in service, or nothing older can be read.
    """
    service = batch_view.current(folder)
    if service is None:
        raise ConfigurationError(
            "refused: no generation is in service, so there is none to roll back"
        )
    for entry in generations(folder):
        if entry.generation < service and entry.manifest is not None:
            return promote(folder, entry.generation)
    raise ConfigurationError(f"refused: no readable generation is older than {service}")
