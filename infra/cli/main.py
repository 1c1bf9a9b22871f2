"""The `segue` command: one Typer application, one module a command in `infra.cli.commands`."""

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

#: Command name -> (module, attribute, one line of help). Modules are imported only when their
#: command runs: `segue --help` must not wait for numba and dbt.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": ("infra.cli.commands.up", "up", "Start the whole stack on this machine."),
    "down": ("infra.cli.commands.down", "down", "Stop the stack of a home, in order."),
    "status": ("infra.cli.commands.status", "status", "Show what runs and how far each part is."),
    "doctor": (
        "infra.cli.commands.doctor",
        "doctor",
        "Say what is installed, reachable and wrong.",
    ),
    "replay": (
        "infra.cli.commands.replay",
        "replay",
        "Post a file of plays and reconcile every store.",
    ),
    "evaluate": ("infra.cli.commands.evaluate", "evaluate", "Prequential evaluation, no servers."),
    "nightly": ("infra.cli.commands.nightly", "nightly", "Quality, dbt build, retrain, reports."),
    "report": ("infra.cli.commands.report", "report", "Print a published report."),
    "model": ("infra.cli.commands.model", "app", "List, promote and roll back the nightly model."),
    "lake": ("infra.cli.commands.lake", "app", "History of the lake, and any version of it."),
    "keys": ("infra.cli.commands.keys", "app", "Create, list and revoke API tokens."),
    "relay": (
        "infra.cli.commands.relay",
        "app",
        "Send a listener's plays on to ListenBrainz or Last.fm.",
    ),
    "erase": ("infra.cli.commands.erase", "erase", "Forget a listener in every store."),
    "audit": (
        "infra.cli.commands.audit",
        "app",
        "Who did what to whose data; is the record whole?",
    ),
    "dlq": ("infra.cli.commands.dlq", "app", "List, show and replay dead letters."),
    "bench": ("infra.cli.commands.bench", "app", "Measure, always beside a floor."),
    "size": ("infra.cli.commands.size", "command", "What a deployment of a given load needs."),
    "acls": ("infra.cli.commands.acls", "acls", "What each worker may do in Kafka."),
    "init": ("infra.cli.commands.init", "init", "Prepare external servers: topics, tables, admin."),
    "import": (
        "infra.cli.commands.import_history",
        "import_history",
        "Import a history: Spotify, Last.fm, ListenBrainz, csv, parquet.",
    ),
    "duplicates": (
        "infra.cli.commands.duplicates",
        "duplicates",
        "Plays that two clients reported: list the merged ones, separate them.",
    ),
    "collect": (
        "infra.cli.commands.collect",
        "collect",
        "Fetch from Last.fm, Spotify, ListenBrainz.",
    ),
    "catalogue": ("infra.cli.commands.catalogue", "app", "Coverage, merges to review, content."),
    "experiment": (
        "infra.cli.commands.experiment",
        "app",
        "Experiments on the lists: define, start, read, size.",
    ),
    "flink": (
        "infra.cli.commands.flink",
        "app",
        "Windows and patterns on the play log, on Apache Flink.",
    ),
    "snowflake": (
        "infra.cli.commands.snowflake",
        "app",
        "Set a Snowflake account up, check, fill it.",
    ),
    "worker": ("infra.cli.commands.worker", "worker", "Run one process of the stack (used by up)."),
}


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        target: Any = getattr(importlib.import_module(module), attribute)
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
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])
        with formatter.section("Options"):
            formatter.write_dl([("--version", "Print the version.")])


cli = typer.Typer(cls=_LazyGroup, add_completion=False, pretty_exceptions_enable=False)


@cli.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """From a stream of plays to recommendations now and a warehouse tomorrow."""
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
