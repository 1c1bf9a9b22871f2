"""`segue collect`: plays and facts about music from other services and files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from batch.collectors.run import APIS, FILES, Outcome, Request
from batch.collectors.run import collect as run_collect
from contracts.errors import ConfigurationError
from infra.cli.options import HomeOption, JsonOption
from infra.stack.running import running


def collect(
    source: Annotated[str, typer.Argument(help=f"One of {', '.join((*APIS, *FILES))}.")],
    user: Annotated[
        str | None,
        typer.Option(help="Account at the source whose plays to fetch. Without it: facts only."),
    ] = None,
    listener: Annotated[
        str | None, typer.Option("--as", help="Listener in Segue. Default: the same name.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Read plays again from this day or time (2024-01-31) on.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="File or folder of a file source.")] = None,
    limit: Annotated[
        int, typer.Option(help="Facts: request about so many items of each kind.")
    ] = 200,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Fetch plays or facts from SOURCE; an interrupted run resumes where it stopped.

    Exit 0: finished. 2: SOURCE does not answer reliably; run the same command later to resume.
    1: failed permanently.
    """
    moment = _second(since) if since else None
    stack = running(home)
    request = Request(
        source=source,
        settings=stack.settings,
        api=stack.api,
        token=stack.admin_token,
        user=user,
        listener=listener,
        since=moment,
        file=file,
        limit=limit,
    )
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(source, total=None)
        outcome = run_collect(
            request,
            lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total or None
            ),
        )
    if json:
        typer.echo(msgspec.json.encode(outcome).decode())
    else:
        _print(outcome)
    if outcome.outcome != "finished":
        raise typer.Exit(2 if outcome.outcome == "open" else 1)


def _second(text: str) -> int:
    """Return seconds since the epoch of a day, a moment (UTC) or a number."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--since {text}: give a day (2024-01-31), a moment or seconds"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _print(outcome: Outcome) -> None:
    console, tally = Console(), outcome.tally
    table = Table("what", "count", title=f"{outcome.source}: {outcome.what}, {outcome.outcome}")
    rows: dict[str, int | str] = {"plays delivered": outcome.plays}
    if outcome.source in APIS:
        rows |= {
            "calls": tally.calls,
            "retries": sum(tally.retries.values()),
            "failed after retries": f"{sum(tally.failed.values())} ({outcome.failure_rate:.2%})",
            "answers reused": tally.fresh + tally.unchanged + tally.resumed,
        }
    rows |= {f"rows new in {name}": count for name, count in outcome.staged.items() if count}
    rows |= {f"refused: {reason}": count for reason, count in outcome.refused.items()}
    rows |= {f"rejected: {reason}": count for reason, count in tally.rejected.items()}
    rows |= {f"drift: {what}": count for what, count in tally.drift.items()}
    if outcome.review is not None:
        rows["artists to review"] = outcome.review.pending
    if outcome.coverage is not None:
        rows["artists with content neighbours"] = outcome.coverage.with_neighbours
    for name, value in rows.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else value)
    console.print(table)
    if outcome.error:
        console.print(outcome.error, style="yellow", markup=False, highlight=False)
