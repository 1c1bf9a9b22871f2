"""The `segue` command: one Typer application, one module a command in `infra.cli.commands`.

A module has an ``app``, or a function of its own name.
"""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import os
import sys
from typing import Any, NoReturn

import typer
import typer.main
from rich.console import Console
from typer.core import TyperGroup

from contracts.errors import Retryable, SegueError
from infra.stack.groups import that_bring

#: Command -> one line of help. Modules are imported only when their command runs: `segue --help`
#: must not wait for numba and dbt.
COMMANDS = {
    "up": "Start the whole stack on this machine.",
    "down": "Stop the stack; workers first apply what is in the log.",
    "status": "Show what runs, and the lag of each worker.",
    "repartition": "Copy the log into a new namespace with more partitions.",
    "hosts": "List the processes of each host; forget a host.",
    "doctor": "Check the installation; name what is missing or wrong.",
    "replay": "Post a file of plays, then count them in every store.",
    "evaluate": "Evaluate the recommender on a file, without servers.",
    "nightly": "Check the lake, build the warehouse, retrain, publish reports.",
    "report": "Print a published report.",
    "model": "List, promote and roll back the nightly model.",
    "lake": "Show versions of the lake; export any of them.",
    "keys": "Create, list and revoke API tokens.",
    "relay": "Forward a listener's plays to ListenBrainz or Last.fm.",
    "erase": "Delete a listener from every store.",
    "audit": "List who read or changed whose data; verify the trail.",
    "dlq": "List, show and replay messages that could not be processed.",
    "bench": "Measure speed, memory or quality.",
    "size": "Compute the resources that a load needs.",
    "acls": "Print or create each worker's access rights in Kafka.",
    "init": "Create topics, tables and administrator on your own servers.",
    "import": "Import a history: Spotify, Last.fm, ListenBrainz, csv, parquet.",
    "duplicates": "List plays that were merged; separate them.",
    "collect": "Fetch facts and plays from Last.fm, Spotify, ListenBrainz.",
    "catalogue": "Show the catalogue's coverage; review pairs of artists.",
    "experiment": "Compare variants of the lists: define, start, read, size.",
    "flink": "Install and operate the jobs on Apache Flink.",
    "snowflake": "Set up, check and fill a Snowflake account.",
    "worker": "Run one process of the stack (used by up).",
}
#: Commands whose module has another name, since theirs is a word of Python.
_MODULES = {"import": "import_history"}


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        name = _MODULES.get(cmd_name, cmd_name)
        module = importlib.import_module(f"infra.cli.commands.{name}")
        target: Any = getattr(module, "app", None) or getattr(module, name)
        if not isinstance(target, typer.Typer):
            single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            single.command(name=cmd_name)(target)
            target = single
        command = typer.main.get_command(target)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing any of them."""
        formatter.write_usage("segue", "COMMAND [OPTIONS]  (segue COMMAND --help for more)")
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        with formatter.section("Options"):
            formatter.write_dl([("--version", "Print the version.")])


cli = typer.Typer(cls=_LazyGroup, add_completion=False, pretty_exceptions_enable=False)


@cli.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """Recommend tracks from a stream of plays, and keep every play in a warehouse."""
    if version:
        typer.echo(importlib.metadata.version("segue"))
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
    elif ctx.invoked_subcommand != "worker":  # a worker writes this to its log
        _name_misspelt_settings()


def _name_misspelt_settings() -> None:
    if not any(name.startswith("SEGUE_") for name in os.environ):
        return
    from contracts.options import misspelt  # not for `segue --help`

    for line in misspelt():
        Console(stderr=True, soft_wrap=True).print(
            f"segue: {line}", style="yellow", markup=False, highlight=False
        )


def main() -> None:
    """Run the command line; an error we know ends in one line and exit code 1 (2: try again)."""
    try:
        cli()
    except ModuleNotFoundError as error:
        if not (groups := that_bring(str(error.name).partition(".")[0])):
            raise
        choice = " or ".join(f"pip install 'segue[{group}]'" for group in groups)
        _end(f"this command needs the package {error.name!r}, not installed here: {choice}", 1)
    except SegueError as error:
        _end(str(error), 2 if isinstance(error, Retryable) else 1)
    except OSError as error:
        if error.filename is not None:  # no permission, a folder, or no such file
            _end(f"{error.filename}: {error.strerror}", 1)
        if error.errno == errno.ENOSPC:
            _end("no space left on the disk; make room and run the same command again", 1)
        raise


def _end(message: str, code: int) -> NoReturn:
    screen = Console(stderr=True, soft_wrap=True)
    screen.print(f"segue: {message}", style="red", markup=False, highlight=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
