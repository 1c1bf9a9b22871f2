"""`segue duplicates`: which plays two clients reported, and separating them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from infra.cli.options import HomeOption, JsonOption
from infra.operations import duplicates as store
from infra.stack.running import running


def duplicates(
    user: Annotated[str, typer.Argument(help="The listener.")],
    unmerge: Annotated[
        str | None, typer.Option(metavar="ID", help="Separate this play permanently.")
    ] = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List the plays of USER that Segue merged into another report of the same play, and why."""
    dsn = running(home).settings.postgres_dsn
    if unmerge is not None:
        undone = store.unmerge(dsn, user, unmerge)
        if json:
            typer.echo(msgspec.json.encode({"event_id": unmerge, "undone": undone}).decode())
        else:
            typer.echo(
                f"{unmerge} is a separate play now"
                if undone
                else f"{unmerge} was not merged, and Segue will never merge it"
            )
        return
    merged = store.merged(dsn, user)
    if json:
        typer.echo(msgspec.json.encode(merged).decode())
        return
    table = Table("play, and what it is counted as", "what", "why")
    for merge in merged:
        at = datetime.fromtimestamp(merge.played_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        what = f"{merge.artist}: {merge.title}\n{at}"
        table.add_row(f"{merge.event_id}\n{merge.into}", what, merge.why)
    table.columns[0].no_wrap = True
    Console().print(table if merged else f"No play of {user} was reported by two clients.")
