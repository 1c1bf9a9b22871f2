"""``segue status``: what runs in a home and how far each part is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from contracts.settings import Settings
from infra.cli.options import HomeOption, JsonOption
from infra.stack.home import Home
from infra.stack.report import Part, parts_of


def status(
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show servers and workers with state, offsets, lag and restarts; exit 1 unless all is well."""
    place = Home(home or Settings.from_env().home)
    run = place.read_run()
    running = run.alive("supervisor")
    parts = parts_of(run) if running else []
    well = running and run.phase == "ready" and all(part.well for part in parts)
    if as_json:
        document: dict[str, Any] = {
            "home": str(place.path),
            "phase": run.phase if running else "stopped",
            "ok": well,
            "parts": [part.as_dict() for part in parts],
        }
        print(json.dumps(document))
    else:
        _show(place.path, run.phase if running else "stopped", parts)
    raise typer.Exit(0 if well else 1)


def _show(path: Path, phase: str, parts: list[Part]) -> None:
    console = Console()
    console.print(f"{path}: {phase}", highlight=False, markup=False)
    if not parts:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("part", "state", "pid", "up", "restarts", "offset", "lag", "detail"):
        table.add_column(
            column, justify="left" if column in ("part", "state", "detail") else "right"
        )
    for part in parts:
        table.add_row(
            part.name,
            part.state,
            str(part.pid or "-"),
            "-" if part.started_at is None else _span(time.time() - part.started_at / 1000),
            str(part.restarts),
            "-" if part.offset is None else f"{part.offset:,}",
            "-" if part.lag is None else f"{part.lag:,}",
            part.detail,
            style=None if part.well else "red",
        )
    console.print(table)


def _span(seconds: float) -> str:
    """Return a duration in the two largest units.

    Examples
    --------
    >>> _span(42), _span(125), _span(7300)
    ('42s', '2m05s', '2h01m')
    """
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
