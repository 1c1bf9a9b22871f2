"""List the processes of each host; forget a host that is gone permanently."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.accounts import ADMIN
from contracts.audit import INSERT, entry
from infra.cli.options import HomeOption, JsonOption
from infra.operations import hosts
from infra.operations.audit.trail import here
from infra.operations.database import connected
from infra.stack.running import running

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the processes that have reported within a day, and whether an erasure waits for them."""
    found = hosts.processes(running(home).settings)
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return
    table = Table("host", "worker", "state", "seconds ago", "an erasure waits for it")
    for each in found:
        waits = "yes" if each.awaited else "no"
        table.add_row(each.host or "-", each.worker, each.state, f"{each.seconds:,.0f}", waits)
    Console().print(table)


@app.command()
def forget(
    host: Annotated[str, typer.Argument(help="Its SEGUE_HOST_NAME; on Kubernetes, the pod.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    home: HomeOption = None,
) -> None:
    """Let erasures stop waiting for a host that will not return; destroy its disk first.

    Segue cannot delete an erased listener from a disk that it does not reach.
    """
    settings = running(home).settings
    if not yes:
        typer.confirm(f"Are the files of {host} destroyed, and will it not return?", abort=True)
    workers = hosts.forget(settings, host)
    with connected(home) as connection:
        connection.execute(
            INSERT, entry(ADMIN, "host.forget", ADMIN, here(), host=host, workers=workers)
        )
    typer.echo(f"forgotten: {', '.join(workers)} of {host}")
