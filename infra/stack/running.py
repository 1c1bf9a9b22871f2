"""Reaching the stack that runs in a home, from another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import ConfigurationError
from contracts.settings import Settings
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
        None runs there, or it is not ready.
    """
    place = Home(home or Settings.from_env().home)
    run = place.read_run()
    if not run.alive("supervisor"):
        raise ConfigurationError(
            f"no stack runs in {place.path}; start it with: segue up --home {place.path}"
        )
    if run.phase != "ready":
        raise ConfigurationError(f"the stack of {place.path} is {run.phase}; see segue status")
    settings = Settings.from_env(run.environ)
    return Running(settings, f"http://{settings.host}:{settings.port}", settings.admin_token)


def settings_of(home: Path | None) -> Settings:
    """Return the settings of the stack that runs in a home; where none runs, the environment's."""
    settings = Settings.from_env()
    if home is not None:
        settings = replace(settings, home=home)
    try:
        return running(settings.home).settings
    except ConfigurationError:
        return settings
