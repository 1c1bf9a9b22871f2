"""`segue flink`: install Flink, see what its job does, stop it with a savepoint."""

from __future__ import annotations

import json as jsonlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import ConfigurationError
from infra.flink import environment
from infra.flink.rest import Rest
from infra.stack.running import running

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "Windows and patterns on the play log: install, status, savepoint, stop."

Home = Annotated[Path | None, typer.Option(help="Home of the running stack. Default: .segue")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def install() -> None:
    """Fill .venv-flink from the hashed lock and fetch the jars that the wheel lacks."""
    environment.install()
    typer.echo(f"Flink is installed in {environment.VENV}")


@app.command()
def status(home: Home = None, json: Json = False) -> None:
    """Show the job, its tasks and its newest checkpoint; exit 1 unless all tasks run."""
    job = _rest(home).job()
    if json:
        typer.echo(jsonlib.dumps({**asdict(job), "ok": job.well}))
    else:
        running_tasks, tasks = job.tasks
        age = f"{time.time() - job.checkpoint_at / 1000:.0f} s ago" if job.checkpoint_at else "none"
        typer.echo(f"{job.name} {job.id}: {job.state}, {running_tasks} of {tasks} tasks run")
        typer.echo(
            f"newest checkpoint: {age}, {job.checkpoint_bytes:,} bytes; "
            f"{job.failed_checkpoints} failed"
        )
        if job.exception:
            typer.echo(f"last failure: {job.exception}")
    raise typer.Exit(0 if job.well else 1)


@app.command()
def savepoint(home: Home = None) -> None:
    """Write the job's state to a savepoint while it goes on."""
    typer.echo(_rest(home).savepoint(stop=False))


@app.command()
def stop(home: Home = None) -> None:
    """Write a savepoint and end the job; segue up --flink goes on from there."""
    typer.echo(_rest(home).savepoint(stop=True))


def _rest(home: Path | None) -> Rest:
    settings = running(home).settings
    if not settings.flink:
        raise ConfigurationError(
            "Flink does not run here; start the stack with: segue up --broker kafka --flink"
        )
    return Rest(settings.flink)
