"""`segue import`: a listener's history from other services."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from infra.cli.options import HomeOption, JsonOption
from infra.operations.imports.rows import Options
from infra.operations.imports.run import ImportReport, Request, run
from infra.operations.imports.table import USUAL
from infra.stack.running import running


def import_history(
    file: Annotated[
        Path, typer.Argument(help="Spotify, Last.fm, ListenBrainz export; csv, jsonl, parquet.")
    ],
    user: Annotated[
        str, typer.Option(help="Listener of the plays. Default: as in the file or the token.")
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="SEGUE_TOKEN", help="Default: the stack's admin token.")
    ] = "",
    api: Annotated[str, typer.Option(help="Address of the API, if it is not the home's.")] = "",
    format_: Annotated[
        str, typer.Option("--format", help="Format of FILE. auto: detect it from the content.")
    ] = "auto",
    column: Annotated[
        list[str] | None,
        typer.Option(help="Columns of a csv or parquet file: artist=NAME, title=NAME, time=NAME."),
    ] = None,
    include_private: Annotated[
        bool, typer.Option(help="Import plays of Spotify's private sessions too.")
    ] = False,
    rejects: Annotated[
        bool, typer.Option("--rejects", help="FILE is a rejects.jsonl of an earlier import.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Import FILE through the API; an interrupted import resumes where it stopped.

    Exit 0: done. 2: the API does not answer; run the same command later to resume. 1: failed
    permanently.
    """
    if api and not token:
        raise ConfigurationError("--api needs a --token (or SEGUE_TOKEN) of that API")
    if api:
        place = home or Settings.from_env().home
    else:
        stack = running(home)
        api, token, place = stack.api, token or stack.admin_token, stack.settings.home
    request = Request(
        file=file,
        api=api.rstrip("/"),
        token=token,
        home=place,
        options=Options(user=user, private=include_private, columns=_columns(column or [])),
        format="rejects" if rejects else format_,
    )
    columns = (
        TextColumn("{task.fields[kept]:,} plays"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("import", total=None, kept=0)
        report = run(
            request,
            lambda done, total, state: bar.update(
                task, completed=done, total=total, kept=state.kept
            ),
        )
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print(report)
    if not report.kept and not report.dropped:
        typer.echo("no record could be read: see the reasons above", err=True)
        raise typer.Exit(1)


def _columns(given: list[str]) -> dict[str, str]:
    chosen = {}
    for text in given:
        what, equals, name = text.partition("=")
        if not equals or not name or what not in USUAL:
            raise ConfigurationError(
                f"--column {text}: give WHAT=NAME, where WHAT is one of {', '.join(USUAL)}"
            )
        chosen[what] = name
    return chosen


def _print(report: ImportReport) -> None:
    console = Console()
    table = Table("what", "records", title=f"{report.file}: {', '.join(report.formats)}")
    table.add_row("kept", f"{report.kept:,}")
    for word, counts in (("dropped", report.dropped), ("rejected", report.rejected)):
        for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
            table.add_row(f"{word}: {reason}", f"{count:,}")
    table.add_row("read", f"{report.read:,}")
    console.print(table)
    lines = [f"{report.seconds:.1f} s, {report.plays_per_s:,.0f} plays/s"]
    if report.resumed_from:
        lines.append(f"resumed after {report.resumed_from:,} records of an interrupted import")
    if report.retries:
        lines.append(f"{report.retries} requests were sent again")
    if report.ignored:
        lines.append(f"no plays in: {', '.join(report.ignored)}")
    if report.rejects_file:
        lines.append(f"rejects: {report.rejects_file} (again: segue import --rejects FILE)")
    for line in lines + report.notes:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
