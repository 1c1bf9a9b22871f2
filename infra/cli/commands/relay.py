"""Forward a listener's plays to ListenBrainz or Last.fm.

The secret is read from a prompt, from standard input or from a file, never from the command line,
and is kept in PostgreSQL, in a table that no view shows.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contracts import relays
from contracts.accounts import ADMIN
from contracts.audit import INSERT, entry
from contracts.errors import ConfigurationError
from contracts.listeners import listener_name
from contracts.postgres import Connection
from contracts.relays import LONGEST_SECRET, SERVICES, Relay
from infra.cli.options import HomeOption, JsonOption
from infra.operations.audit.trail import here
from infra.operations.database import connected
from infra.stack.running import running

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
User = Annotated[str, typer.Argument(help="The listener.")]
Service = Annotated[str, typer.Argument(help=" or ".join(SERVICES))]
_REFUSED = """
    select user_id, service, event_id::text, played_at, reason, play from relayed_plays
    where state = 'refused' and (%(user)s::text is null or user_id = %(user)s)
    order by user_id, service, played_at
"""
_KNOWN = "select exists (select from accounts where user_id = %s)"


@app.command()
def add(
    user: User,
    service: Service,
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the user token or the session key.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Start forwarding the plays of a listener, or replace the secret of a relay."""
    _check(service)
    if not running(home).settings.relay:
        raise ConfigurationError(
            "this deployment does not forward plays; start it with SEGUE_RELAY=1 (docs/relay.md)"
        )
    secret = _secret(service, secret_file)
    user = listener_name(user)
    with connected(home) as connection:
        if not connection.execute(_KNOWN, (user,)).fetchall()[0][0]:
            raise ConfigurationError(f"there is no account {user!r}; see: segue keys create")
        values = {"user": user, "service": service, "secret": secret}
        connection.execute(relays.SET, values)
        _note(connection, "relay.set", user, service)
    Console(stderr=True).print(
        f"Plays of {user} go to {SERVICES[service][0]} from now on. See: segue relay status",
        markup=False,
    )


@app.command()
def pause(user: User, service: Service, home: HomeOption = None) -> None:
    """Keep plays in the queue until the relay is resumed."""
    _change(home, "relay.pause", relays.SET_STATE, user, service, "paused")


@app.command()
def resume(user: User, service: Service, home: HomeOption = None) -> None:
    """Resume a paused relay; it sends the plays in its queue."""
    _change(home, "relay.resume", relays.SET_STATE, user, service, "active")


@app.command()
def remove(user: User, service: Service, home: HomeOption = None) -> None:
    """Remove a relay: delete its secret and the plays in its queue."""
    _change(home, "relay.remove", relays.REMOVE, user, service, "")


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Argument(help="Only this listener's.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the relays with their state and queue."""
    _show(home, user, as_json)


@app.command()
def status(
    user: Annotated[str | None, typer.Argument(help="Only this listener's.")] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Show the plays that a service refused, and why.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show state, counts and reason of each relay; exit code 1 if one is stopped."""
    if refused:
        _show_refused(home, user, as_json)
    elif any(relay.state == "refused" for relay in _show(home, user, as_json)):
        raise typer.Exit(1)


def _show(home: Path | None, user: str | None, as_json: bool) -> list[Relay]:
    with connected(home) as connection:
        rows = connection.execute(relays.LIST, {"user": user}).fetchall()
    found = [Relay(**dict(zip(Relay.__struct_fields__, row, strict=True))) for row in rows]
    if as_json:
        print(json.dumps([_plain(relay) for relay in found]))
        return found
    table = Table("listener", "service", "account", "state", "waiting", "sent", "refused", "reason")
    for r in found:
        table.add_row(
            r.user_id, r.service, r.account, r.state, str(r.waiting), str(r.sent), str(r.refused),
            r.reason,
        )  # fmt: skip
    Console().print(table)
    return found


def _show_refused(home: Path | None, user: str | None, as_json: bool) -> None:
    with connected(home) as connection:
        rows = connection.execute(_REFUSED, {"user": user}).fetchall()
    names = ("user", "service", "event_id", "played_at", "reason", "play")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for one in found:
        one["played_at"] = one["played_at"].isoformat(timespec="seconds")
        one["play"] = json.loads(one["play"])
    if as_json:
        print(json.dumps(found))
        return
    table = Table("listener", "service", "played at", "artist", "title", "reason")
    for one in found:
        play = one["play"]
        table.add_row(
            one["user"], one["service"], one["played_at"], play["artist"], play["title"],
            one["reason"],
        )  # fmt: skip
    Console().print(table)


def _change(
    home: Path | None, action: str, statement: str, user: str, service: str, state: str
) -> None:
    _check(service)
    user = listener_name(user)
    values = {"user": user, "service": service, "state": state}
    with connected(home) as connection:
        if not connection.execute(statement.encode(), values).fetchall()[0][0]:
            raise ConfigurationError(f"{user} has no relay to {service}; see: segue relay list")
        _note(connection, action, user, service)


def _note(connection: Connection, action: str, user: str, service: str) -> None:
    connection.execute(INSERT, entry(ADMIN, action, user, here(), service=service))


def _check(service: str) -> None:
    if service not in SERVICES:
        raise ConfigurationError(f"{service!r} is not a service; choose from {', '.join(SERVICES)}")


def _secret(service: str, file: Path | None) -> str:
    name, what = SERVICES[service]
    if file is not None:
        try:
            secret = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read {file}: {error}") from None
    elif sys.stdin.isatty():
        secret = typer.prompt(f"{name}: {what}", hide_input=True).strip()
    else:
        secret = sys.stdin.readline().strip()
    if not secret or len(secret) > LONGEST_SECRET or not secret.isascii() or " " in secret:
        raise ConfigurationError(f"that is no {what}")
    return secret


def _plain(relay: Relay) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Relay.__struct_fields__:
        value = getattr(relay, name)
        found[name] = value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
    return found
