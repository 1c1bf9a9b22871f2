"""`segue flink`: install Flink, see what its job does, stop and start it; suspects."""

from __future__ import annotations

import json as jsonlib
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from contracts.accounts import ADMIN
from contracts.audit import INSERT, entry
from contracts.errors import ConfigurationError, SegueError
from contracts.postgres import connect
from contracts.settings import Settings
from contracts.suspects import PATTERNS
from infra.cli.options import HomeOption, JsonOption
from infra.flink import environment
from infra.flink.copies import newest
from infra.flink.late import late_days
from infra.flink.process import stop_mark
from infra.flink.rest import Rest
from infra.operations import suspects as operations
from infra.operations.audit.trail import here
from infra.stack.ports import LOOPBACK
from infra.stack.running import running

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "Install and operate the jobs on Apache Flink (docs/flink.md)."

_STOPPED = "the jobs are stopped; resume them with: segue flink start"


@app.command()
def install() -> None:
    """Fill .venv-flink from the hashed lock and fetch the jars that the wheel lacks."""
    environment.install()
    typer.echo(f"Flink is installed in {environment.VENV}")


@app.command()
def status(home: HomeOption = None, json: JsonOption = False) -> None:
    """Show the job, its tasks and its newest checkpoint; exit 1 unless all tasks run."""
    settings = _settings(home)
    if stop_mark(settings).exists():
        raise ConfigurationError(_STOPPED)
    job = Rest(settings.flink).job()
    if json:
        typer.echo(jsonlib.dumps({**asdict(job), "ok": job.well, "rest": settings.flink}))
    else:
        running_tasks, tasks = job.tasks
        age = f"{time.time() - job.checkpoint_at / 1000:.0f} s ago" if job.checkpoint_at else "none"
        typer.echo(f"{job.name} {job.id}: {job.state}, {running_tasks} of {tasks} tasks run")
        typer.echo(
            f"newest checkpoint: {age}, {job.checkpoint_bytes:,} bytes; "
            f"{job.failed_checkpoints} failed"
        )
        typer.echo(f"REST {settings.flink}")
        if job.exception:
            typer.echo(f"last failure: {job.exception}")
    raise typer.Exit(0 if job.well else 1)


@app.command()
def savepoint(home: HomeOption = None) -> None:
    """Write the job's state to a savepoint; the job continues."""
    typer.echo(Rest(_settings(home).flink).savepoint(stop=False))


@app.command()
def stop(home: HomeOption = None) -> None:
    """Write a savepoint and end the job; segue flink start or segue up --flink resumes there.

    On a cluster the jobs resume as soon as the job manager's container starts again.
    """
    settings = _settings(home)
    mark = stop_mark(settings)
    if mark.exists():
        raise ConfigurationError(_STOPPED)
    if urlsplit(settings.flink).hostname == LOOPBACK:
        mark.touch()  # before the job ends: then the supervisor restarts the process
    try:
        typer.echo(Rest(settings.flink).savepoint(stop=True))
    except SegueError:
        mark.unlink(missing_ok=True)
        raise


@app.command()
def start(home: HomeOption = None) -> None:
    """Resume the jobs that segue flink stop has ended."""
    settings = _settings(home)
    mark = stop_mark(settings)
    if not mark.exists():
        raise ConfigurationError("the jobs are not stopped; see segue flink status")
    mark.unlink()
    typer.echo(f"the jobs resume from {newest(settings.paths.flink) or 'the beginning of the log'}")


@app.command()
def backfill(
    begin: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Count days again from the lake, late plays too, and replace the rows published earlier."""
    from infra.flink.backfill import backfill as count_again  # it needs DuckDB, the others do not

    done = count_again(_settings(home), begin.date(), end.date())
    if json:
        typer.echo(msgspec.json.encode(asdict(done)).decode())
        return
    rows = ", ".join(f"{count:,} {job}" for job, count in done.rows.items())
    typer.echo(f"{done.plays:,} plays read; published {rows} as run {done.run}")


@app.command()
def late(home: HomeOption = None, json: JsonOption = False) -> None:
    """Show how many plays of each day arrived too late for the windows."""
    days = late_days(_settings(home))
    if json:
        typer.echo(msgspec.json.encode(days).decode())
        return
    table = Table("day", "late plays")
    for day, plays in days.items():
        table.add_row(day, f"{plays:,}")
    Console().print(table if days else "No late plays.")
    if days:
        typer.echo("count a day again: segue flink backfill --from DAY --to DAY")


@app.command()
def suspects(home: HomeOption = None, json: JsonOption = False) -> None:
    """List listeners whose plays no person produces: the model leaves them out."""
    held = operations.read(running(home).settings)
    found = {user: held.findings(user) for user in held}
    if json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table("listener", "found", "first", "last", "plays", "meaning")
    for user, findings in found.items():
        for each in findings:
            table.add_row(
                user, each.pattern, _at(each.started_at), _at(each.ended_at), str(each.plays),
                PATTERNS.get(each.pattern, ""),
            )  # fmt: skip
    Console().print(table if found else "No suspects.")


@app.command()
def release(listener: str, home: HomeOption = None) -> None:
    """Release a suspect: the model learns the listener's plays again until a later finding."""
    settings = running(home).settings
    with connect(settings.postgres_dsn) as connection:
        # One transaction: a release that fails is not on record.
        connection.execute(INSERT, entry(ADMIN, "suspect.release", listener, here()))
        operations.release(settings, listener)
    typer.echo(f"{listener} is released; the model learns the plays that come from now on")


def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _settings(home: Path | None) -> Settings:
    settings = running(home).settings
    if not settings.flink:
        raise ConfigurationError(
            "Flink does not run here; start the stack with: segue up --broker kafka --flink"
        )
    return settings
