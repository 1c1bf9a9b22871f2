"""`segue replay`: post a file of plays through the HTTP API, then prove that nothing got lost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from contracts.errors import ConfigurationError
from infra.cli.options import HomeOption, JsonOption
from infra.operations import interactions
from infra.operations.replay.run import Outcome, collection_name
from infra.operations.replay.run import replay as run_replay
from infra.stack.running import running


def replay(
    file: Annotated[Path, typer.Argument(help="Parquet, csv or tsv of interactions.")],
    user: Annotated[str | None, typer.Option(help="Column of the listener.")] = None,
    item: Annotated[str | None, typer.Option(help="Column of the track.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the earliest N plays.", min=1)] = None,
    rate: Annotated[str, typer.Option(help="Plays per second, or max.")] = "max",
    warehouse: Annotated[
        bool, typer.Option(help="Also build the table fct_plays and count it.")
    ] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the stack.")] = 300.0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Post the plays of FILE to the API, then count them in every store; exit 1 if they differ."""
    console = Console(stderr=True)
    per_second = _rate(rate)
    stack = running(home)
    data = interactions.read(file, user=user, item=item, time=time, limit=limit)
    if not len(data):
        raise ConfigurationError(f"{file}: there are no interactions in it")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("plays", total=len(data))
        outcome = run_replay(
            stack.settings,
            data,
            api=stack.api,
            token=stack.admin_token,
            collection=collection_name(file),
            rate=per_second,
            warehouse=warehouse,
            timeout=timeout,
            progress=lambda n: bar.advance(task, n),
            say=lambda text: bar.update(task, description=text),
        )
    if passed := {what: n for what, n in data.incomplete.items() if n}:
        lacking = ", ".join(f"{n:,} without {what}" for what, n in passed.items())
        console.print(f"[yellow]Skipped rows of {file.name}: {lacking}.[/yellow]")
    if json:
        printed = {**msgspec.to_builtins(outcome), "incomplete": data.incomplete}
        typer.echo(msgspec.json.encode(printed).decode())
    else:
        _print(outcome)
    if not outcome.reconciled:
        raise typer.Exit(1)


def _rate(text: str) -> float | None:
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise ConfigurationError(f"--rate {text}: give plays per second, or max")
    return rate


def _print(outcome: Outcome) -> None:
    console = Console()
    table = Table("store", "deliveries", "distinct", "missing", "doubled", title="Reconciliation")
    for name in ("kafka", "redis", "lake", "history", "warehouse"):
        tally = getattr(outcome, name)
        if tally is not None:
            cells = (tally.deliveries, tally.distinct, tally.missing, tally.doubled)
            table.add_row(name, *("" if c is None else f"{c:,}" for c in cells))
    console.print(
        f"{outcome.plays:,} plays in the file, {outcome.distinct:,} distinct, "
        f"{outcome.accepted:,} accepted in {outcome.post_seconds:.1f} s "
        f"({outcome.plays_per_s:,.0f} plays/s), {sum(outcome.rejected.values()):,} refused"
        + (f" {outcome.rejected}" if outcome.rejected else "")
        + (f", {outcome.retries} requests retried" if outcome.retries else "")
    )
    console.print(table)
    for line in outcome.differences:
        console.print(f"[red]differs:[/red] {line}")
    if outcome.reconciled:
        console.print("[green]Every store holds every accepted play exactly once.[/green]")
