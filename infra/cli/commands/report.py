"""`segue report`: list the reports, or print the newest published one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import ConfigurationError
from contracts.publication import REPORTS, Publication
from contracts.whole_files import write_whole
from infra.cli.options import HomeOption
from infra.stack.running import settings_of


def report(
    name: Annotated[str | None, typer.Argument(help="Which report; without it, a list.")] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", help="html, csv, json or parquet.")
    ] = "json",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")] = None,
    home: HomeOption = None,
) -> None:
    """Print a published report; without a name, list them."""
    # Not at the top: `--help` must not wait for matplotlib.
    from batch.reports import KINDS
    from batch.reports.publish import published
    from batch.reports.render import FORMATS

    settings = settings_of(home)
    Publication(settings).pull(REPORTS)
    if name is None:
        table = Table("report", "what it shows", "published")
        for kind in KINDS.values():
            there = (settings.paths.reports / kind.name / "latest.html").exists()
            table.add_row(kind.name, kind.description, "yes" if there else "not yet")
        Console().print(table)
        return
    if name not in KINDS:
        raise ConfigurationError(f"no report {name!r}; choose from {', '.join(KINDS)}")
    if format not in FORMATS:
        raise ConfigurationError(f"no format {format!r}; choose from {', '.join(FORMATS)}")
    content = published(settings.paths.reports, name, format)
    if output is None:
        if format == "parquet" and sys.stdout.isatty():
            raise ConfigurationError("parquet is not for a terminal: give --output FILE")
        typer.echo(content, nl=False)
        return
    if not output.parent.is_dir():
        raise ConfigurationError(f"cannot write {output}: there is no folder {output.parent}")
    write_whole(output, content)
    typer.echo(f"wrote {output}", err=True)
