"""Reaching the stack that runs in a home, from another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from infra.stack.accounts import TOKEN_FILE
from infra.stack.home import Home


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running stack can be reached.

    Attributes
    ----------
    settings
        As its processes have them.
    api
        Base URL of the HTTP API.
    admin_token
        Token with every role.
    """

    settings: Settings
    api: str
    admin_token: str


def running(home: Path | None) -> Running:
    """Return the stack of a home (default: ``$SEGUE_HOME``, else ``.segue``).

    Raises
    ------
    ConfigurationError
        None runs there.
    """
    base = Settings.from_env()
    place = Home(home or base.home)
    run = place.read_run()
    if not run.alive("supervisor") or not run.addresses:
        raise ConfigurationError(
            f"no stack runs in {place.path}; start it with: segue up --home {place.path}"
        )
    found = run.addresses
    token = (place.path / TOKEN_FILE).read_text().strip()
    settings = replace(
        base,
        home=place.path,
        namespace=found["namespace"],
        partitions=found["partitions"],
        kafka=found["kafka"],
        redis_url=found["redis"],
        postgres_dsn=found["postgres"],
        port=int(found["api"].rpartition(":")[2]),
        admin_token=token,
    )
    return Running(settings, found["api"], token)
