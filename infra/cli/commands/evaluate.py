"""`segue evaluate FILE`: how good the recommender would have been on a file of plays."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from contracts.errors import ConfigurationError
from infra.cli.options import JsonOption

Column = Annotated[str | None, typer.Option(help="Name of the column. Default: detected.")]
_PARTS = {
    "all": "Next play, any item",
    "new": "First plays only",
    "unplayed": "First plays of tracks that nobody had played",
}
_COLUMNS = ("hr@1", "hr@10", "ndcg@10", "mrr@10", "coverage@10")


def evaluate(
    file: Annotated[Path, typer.Argument(help="Parquet or csv of interactions.")],
    user: Column = None,
    item: Column = None,
    time: Column = None,
    artist: Annotated[
        str | None,
        typer.Option(help="Column of the artist's name; --item is then the title."),
    ] = None,
    heard: Annotated[
        str | None,
        typer.Option(help="Column of the time heard, ms. Default: ms_played, if there is one."),
    ] = None,
    whole_artists: Annotated[
        bool,
        typer.Option(
            "--whole-artists",
            help="Tracks are known from the first play of their artist on; needs --artist.",
        ),
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Read only the earliest rows.", min=1)] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also evaluate simple baseline models.")
    ] = False,
    seeds: Annotated[
        int,
        typer.Option(help="Evaluate from this many random starts; report mean and spread.", min=1),
    ] = 1,
    json: JsonOption = False,
) -> None:
    """Predict every play before learning it, and report how often that was right.

    No servers are needed. Unknown listeners and tracks count, ties count against the model.
    """
    from online_model.baselines import BASELINES
    from online_model.interactions import read_interactions
    from online_model.seeds import evaluate_seeds

    if whole_artists and artist is None:
        raise ConfigurationError("--whole-artists needs --artist, the column of artists' names")
    if not file.is_file():
        raise ConfigurationError(f"there is no file {file}")
    data = read_interactions(
        file, user=user, item=item, time=time, limit=limit, artist=artist, heard_ms=heard
    )
    if not len(data):
        raise ConfigurationError(f"{file} holds no complete interactions: {data.incomplete}")
    screen = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(done: int, total: int, name: str) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done)

        result = evaluate_seeds(
            data,
            seeds,
            baselines=tuple(BASELINES) if baselines else (),
            progress=progress,
            whole_artists=whole_artists,
        )
    result["incomplete"] = data.incomplete
    if json:
        typer.echo(jsonlib.dumps(result))
        return
    _print(Console(), file, result)


def _cells(figures: dict[str, float], sign: str = "") -> list[str]:
    return [f"{sign}{figures[c]:.4f}" if c in figures else "" for c in _COLUMNS]


def _print(console: Console, file: Path, result: dict[str, Any]) -> None:
    stream = result["stream"]
    console.print(
        f"{file.name}: {result['events']:,} plays, {stream['users']:,} listeners, "
        f"{stream['items']:,} items; {stream['new_events']:,} first plays"
    )
    if passed := {what: n for what, n in result["incomplete"].items() if n}:
        lacking = ", ".join(f"{n:,} without {what}" for what, n in passed.items())
        console.print(f"[yellow]Skipped rows: {lacking}.[/yellow]")
    for part, title in _PARTS.items():
        if part not in result:
            continue
        table = Table(title=title)
        table.add_column("model", no_wrap=True)
        for column in _COLUMNS:
            table.add_column(column, justify="right", no_wrap=True)
        table.add_row("segue", *_cells(result[part]))
        spans = result["ci95"].get(part, {})
        halves = ((spans[c][1] - spans[c][0]) / 2 if c in spans else None for c in _COLUMNS)
        table.add_row("  95%", *("" if h is None else f"±{h:.4f}" for h in halves))
        if result["seeds"]["count"] > 1:
            spread = result["seeds"]["spread"][part]
            table.add_row("  over seeds", *_cells(spread, "±"))
        for name, figures in result.get("baselines", {}).items():
            table.add_row(name, *_cells(figures[part]))
        console.print(table)
    rank, learn = result["rank_us"], result["learn_us"]
    console.print(
        f"rank {rank['p50']:.0f} / {rank['p99']:.0f} us, learn {learn['p50']:.0f} / "
        f"{learn['p99']:.0f} us (p50 / p99); replay {result['replay_events_per_s']:,.0f} plays/s; "
        f"{result['state_bytes'] / 2**20:.1f} MB, {result['state']['bytes_per_track']:,} B a track"
    )
