"""Credentials: from the environment, a file named by it, or ``credentials.toml`` in the home."""

from __future__ import annotations

import logging
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.environ import variable
from contracts.errors import ConfigurationError
from contracts.home import HomePaths

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret a source needs.

    Attributes
    ----------
    name
        Key in the source's table of ``credentials.toml``, such as ``api_key``.
    where
        How to get one, for a person.
    """

    source: str
    name: str
    where: str

    @property
    def variable(self) -> str:
        """The environment variable, such as ``SEGUE_LASTFM_API_KEY``."""
        return f"SEGUE_{self.source}_{self.name}".upper()


def find(
    wanted: Credential, home: Path, env: Mapping[str, str] | None = None
) -> str | None:  # fmt: skip
    """Return a secret, or ``None``; the environment wins over its file, that over the home.

    Raises
    ------
    ConfigurationError
        A file that was named cannot be read.
    """
    source = os.environ if env is None else env
    if value := (variable(source, wanted.variable) or "").strip():
        return value
    kept = _home_file(HomePaths(home).credentials).get(wanted.source, {}).get(wanted.name)
    return str(kept).strip() or None if kept is not None else None


def _home_file(path: Path) -> dict[str, dict[str, object]]:
    try:
        content = tomllib.loads(path.read_text())
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            _LOG.warning("%s can be read by other users; chmod 600 %s", path, path)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    return {name: table for name, table in content.items() if isinstance(table, dict)}


def require(
    wanted: list[Credential], home: Path, env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return every secret by name.

    Raises
    ------
    ConfigurationError
        Some are not set: the message names all of them, where each can be put and had.
    """
    found = {each.name: find(each, home, env) for each in wanted}
    missing = [each for each in wanted if not found[each.name]]
    if missing:
        lines = [f"  {m.variable}: {m.where}" for m in missing]
        entries = "; ".join(f'{m.name} = "..."' for m in missing)
        raise ConfigurationError(
            f"{missing[0].source} needs {len(missing)} credential(s) that are not set:\n"
            + "\n".join(lines)
            + "\nset the variable, or <variable>_FILE to a file that holds it, or put "
            f"[{missing[0].source}] {entries} into {HomePaths(home).credentials} (chmod 600)"
        )
    return {name: value for name, value in found.items() if value}
