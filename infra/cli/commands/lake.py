"""List the versions of the lake's tables; count or export the rows of any version."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from batch.lake import Lake, Snapshot
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.lake import TABLES
from infra.cli.options import HomeOption, JsonOption
from infra.stack.running import settings_of

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
Name = Annotated[str, typer.Option("--table", help=f"One of: {', '.join(TABLES)}.")]
AsOf = Annotated[
    str | None, typer.Option(help="A version number, or a time such as 2025-03-03T04:00 (UTC).")
]


@app.command()
def history(
    table: Name = "plays",
    limit: Annotated[int, typer.Option(min=1, help="Newest commits to show.")] = 20,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the commits of a table, newest first."""
    commits = _lake(home, table).history(limit)
    if as_json:
        rows = [
            {
                "version": c.version,
                "at": c.at.isoformat(),
                "operation": c.operation,
                "rows": c.rows,
                "files": c.files,
            }
            for c in commits
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    listing = Table("version", "committed (UTC)", "operation", "rows", "files", title=table)
    for c in commits:
        when = f"{c.at:%Y-%m-%d %H:%M:%S}"
        listing.add_row(str(c.version), when, c.operation, f"{c.rows:,}", str(c.files))
    Console().print(listing)


@app.command()
def show(
    table: Name = "plays",
    as_of: AsOf = None,
    committed_since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            help="Fail if the version was committed before this time (UTC).",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the rows of a version, the newest by default."""
    snapshot = _snapshot(_lake(home, table), as_of)
    if committed_since and snapshot.committed_at < committed_since.replace(tzinfo=UTC):
        raise StoreUnavailable(
            f"{table} has not been written since {committed_since:%Y-%m-%d %H:%M}: its newest "
            f"version is of {snapshot.committed_at:%Y-%m-%d %H:%M}; does the lake sink run?"
        )
    found = {
        "table": table,
        "version": snapshot.version,
        "committed_at": snapshot.committed_at.isoformat(),
        "rows": snapshot.rows,
        "files": len(snapshot.files),
        "bytes": snapshot.bytes,
    }
    typer.echo(
        json.dumps(found, indent=2)
        if as_json
        else f"{table} version {snapshot.version} of {found['committed_at']}: "
        f"{snapshot.rows:,} rows in {len(snapshot.files)} files"
    )


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    table: Name = "plays",
    as_of: AsOf = None,
    home: HomeOption = None,
) -> None:
    """Write all rows of a version of a table into one Parquet file."""
    if not output.parent.is_dir():
        raise ConfigurationError(f"cannot write {output}: there is no folder {output.parent}")
    lake = _lake(home, table)
    snapshot = _snapshot(lake, as_of)
    rows = lake.export(snapshot, output)
    typer.echo(f"wrote {rows:,} rows of {table} version {snapshot.version} to {output}")


def _lake(home: Path | None, table: str) -> Lake:
    if table not in TABLES:
        raise ConfigurationError(f"no lake table {table!r}; choose from {', '.join(TABLES)}")
    return Lake.all(settings_of(home))[table]


def _snapshot(lake: Lake, as_of: str | None) -> Snapshot:
    snapshot = lake.snapshot(**moment(as_of))
    if snapshot is None:
        raise ConfigurationError(f"there is no lake table {lake.place.uri} yet: run `segue up`")
    return snapshot


def moment(as_of: str | None) -> dict[str, Any]:
    """Return the argument of :meth:`Lake.snapshot` for what a person wrote.

    Raises
    ------
    ConfigurationError
        It is neither a version nor a time.

    Examples
    --------
    >>> moment("7"), moment(None)
    ({'version': 7}, {})
    """
    if as_of is None:
        return {}
    if as_of.isdigit():
        return {"version": int(as_of)}
    try:
        at = datetime.fromisoformat(as_of)
    except ValueError:
        raise ConfigurationError(
            f"--as-of {as_of!r} is neither a version such as 7 nor a time such as 2025-03-03T04:00"
        ) from None
    return {"as_of": at.replace(tzinfo=UTC) if at.tzinfo is None else at}
