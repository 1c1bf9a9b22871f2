"""``segue size``: what a deployment of a given load needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from contracts.errors import ConfigurationError
from infra.cli.options import JsonOption
from infra.operations import sizing
from infra.operations.sizing import Load, Size


def size(
    plays_per_day: Annotated[float, typer.Option(help="Plays of an average day.")],
    listeners: Annotated[float, typer.Option(help="Listeners that the model holds.")],
    tracks: Annotated[float, typer.Option(help="Tracks that the model holds.")],
    lists_per_play: Annotated[
        float, typer.Option(help="Recommendation lists requested for each play.")
    ] = 0.1,
    peak: Annotated[
        float, typer.Option(help="Load of the busiest hour, as a multiple of the average.")
    ] = 3.0,
    days: Annotated[
        float, typer.Option(help="Days of history in PostgreSQL, the lake and the warehouse.")
    ] = 365.0,
    kept_days: Annotated[float, typer.Option(help="Days that Kafka keeps the log.")] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Compute what a load needs: cores, processes, memory, disk, the nightly's time.

    docs/sizing.md states how the costs were measured.
    """
    load = Load(plays_per_day, listeners, tracks, lists_per_play, peak, days, kept_days)
    try:
        found = sizing.size(load)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        _show(found)


def _show(found: Size) -> None:
    console = Console(highlight=False)
    console.print(
        f"At the peak: {found.plays_per_second:,.0f} plays/s, {found.lists_per_second:,.0f} lists/s"
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("process", "cores", "processes"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for part in found.parts:
        table.add_row(part.name, f"{part.cores:.3f}", str(part.processes))
    console.print(table)
    for name, value in (
        ("Redis, memory", found.redis_bytes),
        ("Model, memory of each host", found.model_bytes),
        ("Log, disk of one copy", found.log_bytes),
        ("Lake, disk", found.lake_bytes),
        ("PostgreSQL, disk", found.history_bytes),
        ("Nightly, memory", found.night_bytes),
    ):
        console.print(f"{name:<28}{decimal(round(value)):>10}")
    console.print(f"{'Nightly, time':<28}{found.night_seconds / 60:>6.0f} min")
    for note in found.notes:
        console.print(f"note: {note}")
    for limit in found.limits:
        console.print(f"limit: {limit}", style="red")
