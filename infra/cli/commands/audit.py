"""``segue audit``: who did what to whose data, and whether the record of it is whole."""

from __future__ import annotations

import json as jsonlib
import re
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from batch.runs import Runs
from contracts.errors import ConfigurationError
from contracts.postgres import connect
from contracts.publication import RUNS, Publication
from infra.cli.options import HomeOption, JsonOption
from infra.operations.audit import trail
from infra.operations.database import connected
from infra.stack.running import running

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "Read the audit trail; verify that no entry was altered or removed."


@app.command("list")
def list_(
    home: HomeOption = None,
    user: Annotated[str | None, typer.Option(help="Only rows by or about this account.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as data.export.")
    ] = None,
    last: Annotated[
        int, typer.Option(min=1, help="Show only so many of the newest entries.")
    ] = 100,
    json: JsonOption = False,
) -> None:
    """List what was done, oldest first. Pseudonyms of erased accounts stay pseudonyms."""
    with connected(home) as connection:
        known = trail.names(connection)
        who = connection.execute("select pseudonym(%s)", (user or "",)).fetchone()
        assert who is not None
        found = [
            row
            for row in trail.rows(connection)
            if (user is None or who[0] in (row.actor, row.subject))
            and (action is None or row.action == action)
        ][-last:]
    if json:
        typer.echo(
            jsonlib.dumps(
                [
                    {
                        "seq": row.seq,
                        "at": row.at.isoformat(),
                        "actor": known.get(row.actor, row.actor),
                        "action": row.action,
                        "subject": known.get(row.subject, row.subject),
                        "origin": row.origin,
                        "outcome": row.outcome,
                        "detail": row.detail,
                    }
                    for row in found
                ]
            )
        )
        return
    table = Table("row", "at", "who", "did", "to whom", "from", "outcome", "detail")
    for row in found:
        table.add_row(
            str(row.seq),
            row.at.strftime("%Y-%m-%d %H:%M:%S"),
            known.get(row.actor, row.actor[:12]),
            row.action,
            known.get(row.subject, row.subject[:12]),
            row.origin,
            row.outcome,
            row.detail,
        )
    Console().print(table if found else "Nothing.")


@app.command()
def verify(
    home: HomeOption = None,
    expect: Annotated[
        str | None,
        typer.Option(help="Head of an earlier run; verify that no row up to it is missing."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Recompute the chain; exit 1 if a row was altered, is missing or is out of order.

    The command also compares the heads that nightly runs recorded: an attacker who rewrites the
    whole chain in the database would have to rewrite the run records too.
    """
    if expect is not None and not re.fullmatch(r"\d+:[0-9a-f]{64}", expect):
        raise ConfigurationError(
            "--expect takes the head that `segue audit verify` printed, such as 12:5f3a..."
        )
    settings = running(home).settings
    Publication(settings).pull(RUNS)
    noted = [run.audit_head for run in Runs(settings.paths.runs).all() if run.audit_head]
    with connect(settings.postgres_dsn) as connection:
        verdict = trail.verify(trail.rows(connection), *noted, *([expect] if expect else []))
    if json:
        said = {"rows": verdict.rows, "head": verdict.head, "problems": verdict.problems}
        typer.echo(jsonlib.dumps({**said, "noted_heads": len(noted)}))
    else:
        for problem in verdict.problems:
            typer.echo(problem)
        state = "broken" if verdict.problems else "whole"
        typer.echo(f"{verdict.rows} rows, the chain is {state}; head {verdict.head}")
        typer.echo(f"compared with the heads that {len(noted)} nightly runs noted")
    if verdict.problems:
        raise typer.Exit(1)
