"""`segue dlq`: what could not be used, why, and sending it once more."""

from __future__ import annotations

import json as jsonlib
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts import dead_letters
from contracts.accounts import ADMIN
from contracts.audit import INSERT, Outcome, entry
from contracts.errors import ConfigurationError
from contracts.postgres import connect
from infra.cli.options import HomeOption, JsonOption
from infra.operations.audit.trail import here
from infra.operations.dead_letters import replay as send
from infra.stack.running import running

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.info.help = "List, show and replay dead letters."


@app.command("list")
def list_letters(
    home: HomeOption = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason.")] = None,
    replayed: Annotated[bool, typer.Option(help="Include letters that were replayed.")] = False,
    json: JsonOption = False,
) -> None:
    """List dead letters that were not replayed, oldest first."""
    letters = dead_letters.read(running(home).settings, replayed=replayed)
    letters = [x for x in letters if reason is None or x.content.reason == reason]
    if json:
        typer.echo(jsonlib.dumps([dead_letters.as_json(x) for x in letters]))
        return
    table = Table("id", "at", "refused by", "reason", "detail")
    for letter in letters:
        content = letter.content
        at = datetime.fromtimestamp(content.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(letter.id, at, ", ".join(letter.stages), content.reason, content.detail)
    table.columns[0].no_wrap = True
    Console().print(table if letters else "No dead letters.")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="Id from `segue dlq list`.")],
    home: HomeOption = None,
) -> None:
    """Print one dead letter whole, as JSON."""
    found = _find(dead_letters.read(running(home).settings, replayed=True), [letter])
    typer.echo(jsonlib.dumps(dead_letters.as_json(found[0]), indent=2, ensure_ascii=False))


@app.command()
def replay(
    letters: Annotated[
        list[str] | None, typer.Argument(help="Ids of letters; leave out with --all.")
    ] = None,
    home: HomeOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="All letters that were not replayed.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="All letters with this reason that were not replayed.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send dead letters to their topic or the API again; exit 1 if one was refused again."""
    stack = running(home)
    waiting = dead_letters.read(stack.settings, replayed=bool(letters))
    if letters:
        chosen = _find(waiting, letters)
    elif every or reason:
        chosen = [x for x in waiting if reason is None or x.content.reason == reason]
    else:
        raise ConfigurationError("name the messages to replay: ids, --reason REASON or --all")
    outcomes = send(stack.settings, chosen, api=stack.api, token=stack.admin_token)
    sent = sum(outcome == dead_letters.SENT for outcome in outcomes.values())
    failed = len(outcomes) - sent
    with connect(stack.settings.postgres_dsn) as connection:
        outcome: Outcome = "failed" if failed else "done"
        row = entry(
            ADMIN, "letter.replay", ADMIN, here(), outcome, sent=sent, failed=failed,
            reason=reason, letters=list(outcomes)[:20],
        )  # fmt: skip
        connection.execute(INSERT, row)
    if json:
        typer.echo(jsonlib.dumps(outcomes))
    else:
        for name, said in outcomes.items():
            typer.echo(f"{name}  {said}")
        typer.echo(f"{sent} of {len(outcomes)} sent")
    if failed:
        raise typer.Exit(1)


def _find(letters: list[dead_letters.Letter], ids: list[str]) -> list[dead_letters.Letter]:
    by_id = {letter.id: letter for letter in letters}
    for name in ids:
        if name not in by_id:
            raise ConfigurationError(f"there is no dead letter {name}; see `segue dlq list`")
    return [by_id[name] for name in ids]
