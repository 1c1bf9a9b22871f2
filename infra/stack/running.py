"""Reaching the stack that runs in a home, or the deployment the environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from infra.stack.home import Home
from infra.stack.ports import api_address

_NAMED = {"SEGUE_POSTGRES_DSN", "SEGUE_POSTGRES_DSN_FILE"}


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
        Token with every role; empty where a deployment keeps it elsewhere.
    """

    settings: Settings
    api: str
    admin_token: str


def running(home: Path | None) -> Running:
    """Return the stack of a home (default: ``$SEGUE_HOME``, else ``.segue``).

    Without `home`, a deployment whose environment names its database is what is meant.

    Raises
    ------
    ConfigurationError
        None runs there, or it is not ready.
    """
    settings = Settings.from_env()
    if home is None and _NAMED & os.environ.keys():
        return _of(settings)
    place = Home(home or settings.home)
    run = place.read_run()
    if not run.alive("supervisor"):
        raise ConfigurationError(
            f"no stack runs in {place.path}; start it with: segue up --home {place.path}"
        )
    if run.phase != "ready":
        raise ConfigurationError(f"the stack of {place.path} is {run.phase}; see segue status")
    return _of(Settings.from_env(run.environ))


def _of(settings: Settings) -> Running:
    token = settings.admin_token
    file = settings.paths.admin_token  # as `segue init` wrote it
    if not token and os.access(file, os.R_OK):
        token = file.read_text().strip()
    return Running(settings, api_address(settings.host, settings.port), token)


def settings_of(home: Path | None) -> Settings:
    """Return the settings of the stack that runs in a home; where none runs, the environment's."""
    settings = Settings.from_env()
    if home is not None:
        settings = replace(settings, home=home)
    try:
        return running(settings.home).settings
    except ConfigurationError:
        return settings
