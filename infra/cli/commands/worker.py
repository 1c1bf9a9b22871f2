"""``segue worker NAME``: run one process of the stack in the foreground."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable

import typer

from contracts.errors import ConfigurationError
from contracts.options import misspelt
from contracts.settings import Settings
from contracts.workers import BY_NAME


def entry(name: str) -> Callable[[Settings], int]:
    """Return what runs a worker.

    Raises
    ------
    ConfigurationError
        There is no worker of that name.
    """
    if name not in BY_NAME:
        raise ConfigurationError(f"no worker named {name!r}; choose from {', '.join(BY_NAME)}")
    run: Callable[[Settings], int] = importlib.import_module(BY_NAME[name].module).run
    return run


def worker(name: str = typer.Argument(help=f"One of: {', '.join(BY_NAME)}.")) -> None:
    """Run one process of the stack until SIGTERM; settings come from SEGUE_* variables."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for line in misspelt():
        logging.getLogger(__name__).warning("%s", line)
    raise typer.Exit(entry(name)(Settings.from_env()))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(worker)
    app()
