"""``segue worker NAME``: run one process of the stack in the foreground."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable

import typer

from contracts.errors import ConfigurationError
from contracts.settings import Settings

#: Name of a worker -> the module whose ``run(settings) -> exit code`` blocks until SIGTERM.
MODULES: dict[str, str] = {
    "api": "api.main",
    "listeners": "streams.listeners",
    "learner": "streams.learner",
    "lake-sink": "streams.lake_sink",
    "history-sink": "streams.history_sink",
    "snowflake-sink": "streams.snowflake_sink.worker",
    "eraser": "infra.operations.erasure.worker",
    "simulator": "infra.simulator",
}


def entry(name: str) -> Callable[[Settings], int]:
    """Return what runs a worker.

    Raises
    ------
    ConfigurationError
        There is no worker of that name.
    """
    if name not in MODULES:
        raise ConfigurationError(f"no worker named {name!r}; there are {', '.join(MODULES)}")
    run: Callable[[Settings], int] = importlib.import_module(MODULES[name]).run
    return run


def worker(name: str = typer.Argument(help=f"One of: {', '.join(MODULES)}.")) -> None:
    """Run one process of the stack until SIGTERM; settings come from SEGUE_* variables."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    raise typer.Exit(entry(name)(Settings.from_env()))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(worker)
    app()
