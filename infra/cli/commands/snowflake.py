"""`segue snowflake`: set an account up, check it, fill it, hold it beside the embedded one."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from contracts.snowflake import Snowflake
from infra.cli.options import HomeOption, JsonOption
from infra.stack.running import settings_of

app = typer.Typer(
    help="Set up, check and fill a Snowflake account (docs/snowflake.md).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    elif rows:
        table = Table(*rows[0])
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console().print(table)


def _say(word: str) -> None:
    """Print to standard error, because scripts read standard output."""
    if word:
        Console(stderr=True).print(word, markup=False, highlight=False, soft_wrap=True)


@app.command()
def apply(
    dry_run: Annotated[
        bool, typer.Option(help="Print the statements without running them.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Create or alter every object the deployment needs; running again changes nothing."""
    from infra.snowflake.apply import apply as run_apply
    from infra.snowflake.scripts import DRY, statements

    if dry_run:
        account = Snowflake.from_env() or Snowflake(account="none")
        todo = statements(account, {**DRY, **os.environ})
        if json:
            _print([asdict(statement) for statement in todo], json)
        else:
            for statement in todo:
                typer.echo(f"{statement.sql};\n")
        return
    screen = Console(stderr=True)
    with screen.status("applying") as status:
        done = run_apply(
            Snowflake.required(), progress=lambda s: status.update(f"{s.file}: {s.sql[:60]}")
        )
    _print([{"statements": done}], json)


@app.command()
def check(json: JsonOption = False) -> None:
    """Verify tables, grants, masking and pipes of the account; exit code 1 if a check fails."""
    from infra.snowflake.check import check as run_check

    found = run_check(Snowflake.required())
    _print([asdict(each) for each in found], json)
    if not all(each.ok for each in found):
        raise typer.Exit(1)


@app.command()
def quarantine(json: JsonOption = False) -> None:
    """List files that could not be loaded, and why."""
    from infra.snowflake.quarantine import listing

    rows = listing(Snowflake.required())
    _print(rows, json)
    if not rows and not json:
        typer.echo("every file was loaded: nothing is in quarantine")


@app.command()
def replay(json: JsonOption = False) -> None:
    """Load the files in quarantine again; exit code 1 if one of them fails again."""
    from infra.snowflake.backfill import what_next
    from infra.snowflake.quarantine import replay as run_replay

    rows = run_replay(Snowflake.required())
    _print(rows, json)
    _say(what_next(sum(row["rows"] for row in rows if row["table"] == "plays")))
    if any(row["quarantined"] for row in rows):
        raise typer.Exit(1)


@app.command()
def backfill(home: HomeOption = None, json: JsonOption = False) -> None:
    """Load the rows of the lake; stop the sink first. Running it again changes nothing."""
    from infra.snowflake.backfill import backfill as run_backfill
    from infra.snowflake.backfill import what_next

    screen = Console(stderr=True)
    with screen.status("landing") as status:
        moved = run_backfill(
            settings_of(home), Snowflake.required(), lambda file: status.update(file.path)
        )
    _print([asdict(each) for each in moved], json)
    _say(what_next(sum(each.landed for each in moved if each.table == "plays")))
    if any(each.quarantined for each in moved):
        raise typer.Exit(1)


@app.command()
def compare(home: HomeOption = None, json: JsonOption = False) -> None:
    """Compare every mart on DuckDB with that on Snowflake; exit code 1 if one differs."""
    from infra.snowflake.compare import compare as run_compare

    found = run_compare(settings_of(home), Snowflake.required())
    rows = [
        {
            "table": each.table,
            "rows": each.duckdb and each.duckdb.rows,
            "duckdb": each.duckdb and each.duckdb.checksum,
            "snowflake": each.snowflake and each.snowflake.checksum,
            "rows on snowflake": each.snowflake and each.snowflake.rows,
            "same": each.same,
        }
        for each in found
    ]
    _print(rows, json)
    if not found or not all(each.same for each in found):
        raise typer.Exit(1)
