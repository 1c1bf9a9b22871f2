"""`segue nightly`: quality gates, dbt build, reports; one run record at the end."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli.options import HomeOption
from infra.stack.running import settings_of


def nightly(
    target: Annotated[
        str, typer.Option(help="Warehouse to build: duckdb or snowflake.")
    ] = "duckdb",
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Newest day of the reports. Default: today (UTC)."),
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build incremental tables from scratch.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(help="Stop after this step; the next run resumes there."),
    ] = None,
    home: HomeOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the run record.")] = False,
) -> None:
    """Check the lake, build the warehouse, train the nightly model, publish the reports."""
    # Not at the top: `--help` must not wait for duckdb and matplotlib.
    from batch.nightly import nightly as run_nightly

    settings = settings_of(home)
    screen = Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<8}"),
        TextColumn("[dim]{task.fields[word]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def show(step: str, word: str) -> None:
        if step not in tasks:
            tasks[step] = screen.add_task(step, total=1, word=word)
        screen.update(tasks[step], word=word)
        if word in {"ok", "failed", "finished before"}:
            screen.update(tasks[step], completed=1)

    with nullcontext() if json else screen:
        run = run_nightly(
            settings,
            target=target,
            day=date and date.date(),
            full_refresh=full_refresh,
            until=until,
            progress=show,
        )
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(run), indent=2).decode())
    else:
        table = Table("step", "status", "seconds", "what", title=f"nightly {run.id}: {run.status}")
        for step in run.steps:
            seconds = "" if step.seconds is None else f"{step.seconds:.1f}"
            table.add_row(step.name, step.status, seconds, step.detail)
        Console().print(table)
    if run.status == "failed":
        raise typer.Exit(1)
