"""``segue erase``: forget a listener in every store, and say what was removed from where."""

from __future__ import annotations

import json as jsonlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from contracts.accounts import ADMIN
from contracts.errors import ConfigurationError
from infra.cli.options import HomeOption, JsonOption
from infra.operations.audit.trail import here
from infra.operations.database import connected
from infra.operations.erasure import requests
from infra.operations.erasure.target import FAIL_SAFE_DAYS
from infra.stack.running import running


def erase(
    user: Annotated[
        str | None, typer.Argument(help="The listener; leave out with --pending.")
    ] = None,
    pending: Annotated[bool, typer.Option(help="Continue all open erasures.")] = False,
    home: HomeOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete a listener from every store; exit 2 if the erasure must wait.

    A killed run resumes where it stopped. The running stack finishes what has to wait.
    """
    from infra.operations.erasure.run import run_pending  # every store's library: not for `--help`

    if (user is None) != pending:
        raise ConfigurationError(
            "name a listener: segue erase USER, or --pending for the requested erasures"
        )
    if user == ADMIN:
        raise ConfigurationError("the administrator's account belongs to the deployment")
    if user and not yes:
        typer.confirm(f"Delete everything held of {user!r}, for ever?", abort=True)
    origin = here()
    asked = None
    if user is not None:
        with connected(home) as connection:
            asked = requests.ask(connection, user, actor=ADMIN, origin=origin)
        # An API process may trust a revoked token a moment longer; plays sent so are covered too.
        time.sleep(requests.SETTLE_SECONDS)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=json,
    ) as progress:
        task = progress.add_task("erasing")

        def show(step: str, word: str) -> None:
            progress.update(task, description=f"{step}: {word}")

        settings = running(home).settings
        found, done = run_pending(settings, actor=ADMIN, origin=origin, settle=0, progress=show)
        while asked is not None and not _finished(home, asked) and not found:
            time.sleep(0.5)  # the stack's own eraser is at it
            found, done = run_pending(settings, actor=ADMIN, origin=origin, settle=0, progress=show)
    report = _report(home, asked, found, done)
    if json:
        typer.echo(jsonlib.dumps(report))
    else:
        _print(report)
    if report["waiting"]:
        raise typer.Exit(2)


def _finished(home: Path | None, asked: Any) -> bool:
    with connected(home) as connection:
        row = connection.execute("select state from erasures where id = %s", (asked,)).fetchone()
    return bool(row and row[0] == "done")


def _report(home: Path | None, asked: Any, found: int, done: int) -> dict[str, Any]:
    with connected(home) as connection:
        waiting = connection.execute(
            "select id::text, waiting_for from erasures where state <> 'done'"
            " and (%(id)s::uuid is null or id = %(id)s) order by requested_at",
            {"id": asked},
        ).fetchall()
        steps: dict[str, Any] = {}
        if asked is not None:
            row = connection.execute(
                "select steps from erasures where id = %s", (asked,)
            ).fetchone()
            steps = row[0] if row else {}
    return {
        "id": None if asked is None else str(asked),
        "found": found,
        "done": done,
        "removed": steps,
        "waiting": [{"id": name, "for": reason} for name, reason in waiting],
    }


def _print(report: dict[str, Any]) -> None:
    for step, removed in report["removed"].items():
        typer.echo(f"{step:16} {_words(removed)}")
    for request in report["waiting"]:
        typer.echo(f"{request['id']} waits: {request['for'] or 'not begun'}")
    if report["id"] is None and not report["waiting"]:
        typer.echo(f"{report['done']} done, nothing waits")


def _words(removed: dict[str, int]) -> str:
    """Say what a step removed, and of Snowflake until when it can still be read."""
    if removed.get("configured") == 0:
        return "skipped: no account is configured here"
    days = removed.get("time_travel_days", 0)
    counts = {what: count for what, count in removed.items() if what != "time_travel_days"}
    words = ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing"
    if not days:
        return words
    until = datetime.now(UTC).date() + timedelta(days=days)
    last = until + timedelta(days=FAIL_SAFE_DAYS)
    return f"{words}; readable by time travel until {until}, by Snowflake's support until {last}"
