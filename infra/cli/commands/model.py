"""List the generations of the nightly model; select the one in service."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from contracts import generations as models
from contracts.publication import BATCH_VIEW, Publication
from infra.cli.options import HomeOption, JsonOption
from infra.stack.running import settings_of

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the generations that are kept, newest first."""
    settings = settings_of(home)
    Publication(settings).pull(BATCH_VIEW)
    found = models.generations(settings.paths.batch_view)
    if as_json:
        _print(found)
        return
    # Narrow enough for a terminal of 80 columns, where rich would cut the last ones off.
    names = ("#", "in service", "trained", "algorithm", "tracks", "HR@10", "popularity", "before")
    table = Table(*names, box=None, pad_edge=False)
    for entry in found:
        manifest = entry.manifest
        if manifest is None:
            table.add_row(str(entry.generation), "no", entry.trouble)
            continue
        table.add_row(
            str(entry.generation),
            "yes" if entry.in_service else "no",
            manifest.trained_at[:16].replace("T", " "),
            manifest.algorithm,
            f"{manifest.tracks:,}",
            _rate(manifest.metrics, "new"),
            _rate(manifest.metrics, "popularity"),
            _rate(manifest.metrics, "in_service"),
        )
    Console().print(table if found else "No generation yet; segue nightly trains one.")


@app.command()
def promote(
    generation: Annotated[int, typer.Argument(help="Number of the generation.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a generation into service; the learner loads it within seconds."""
    settings = settings_of(home)
    with Publication(settings).changing(BATCH_VIEW):
        found = models.promote(settings.paths.batch_view, generation)
    _say(found, as_json)


@app.command()
def rollback(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Put the generation before the one in service back into service."""
    settings = settings_of(home)
    with Publication(settings).changing(BATCH_VIEW):
        found = models.roll_back(settings.paths.batch_view)
    _say(found, as_json)


def _rate(metrics: dict[str, float], model: str) -> str:
    value = metrics.get(f"{model}.hr@10")
    return "-" if value is None else f"{value:.4f}"


def _say(entry: models.Generation, as_json: bool) -> None:
    if as_json:
        _print(entry)
    else:
        typer.echo(f"generation {entry.generation} is in service")


def _print(what: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())
