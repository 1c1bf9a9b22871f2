"""`segue init`: prepare external servers once: topics, tables, the administrator's account."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from contracts import object_store
from contracts.database_roles import ADMIN, API, PARTS, RELAY, SINK, role_name
from contracts.environ import read
from contracts.errors import ConfigurationError
from contracts.kafka import ensure_topics, set_retention
from contracts.options import DatabaseLogins
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack import copies, pooler, postgres_look, redis_look
from infra.stack.accounts import sole_admin
from infra.stack.grants import secure
from infra.stack.migrations import migrate


def init(
    rotate: Annotated[
        bool,
        typer.Option("--rotate", help="Revoke the administrator's token and create a new one."),
    ] = False,
) -> None:
    """Create missing topics, tables and the administrator in the servers that SEGUE_* names.

    Running it again changes nothing.
    """
    settings = Settings.from_env()
    settings.home.mkdir(parents=True, exist_ok=True)
    configs = Topics(settings.namespace).configs(
        settings.plays_retention_days, flink=bool(settings.flink)
    )
    object_store.check(settings)
    for fault, todo in redis_look.faults(settings):
        typer.echo(f"redis: {fault} -> {todo}", err=True)
    topics = ensure_topics(settings, configs)
    typer.echo(f"topics: {', '.join(topics)} with {settings.partitions} partitions")
    for setting, changed in copies.make_safe(settings, list(topics)).items():
        typer.echo(f"{setting}, now also in {', '.join(changed)}")
    for fault, todo in copies.faults(settings, list(topics)):
        typer.echo(f"kafka: {fault} -> {todo}", err=True)
    if settings.plays_retention_days:  # otherwise a topic keeps its present retention
        changed = set_retention(settings, configs)
        days = f"plays are kept {settings.plays_retention_days} days"
        typer.echo(f"retention: {days}{', now also in ' if changed else ''}{', '.join(changed)}")
    applied = migrate(settings.postgres_dsn, settings.schema)
    typer.echo(f"schema {settings.schema}: {', '.join(applied) or 'up to date'}")
    if faults := postgres_look.faults(settings):
        fault, todo = faults[0]
        raise ConfigurationError(f"postgres: {fault} -> {todo}")
    logins = read(DatabaseLogins)
    passwords = {
        API: logins.api_password,
        SINK: logins.sink_password,
        RELAY: logins.relay_password,
        ADMIN: logins.admin_password,
    }
    given = [role_name(settings.schema, part) for part in PARTS if passwords[part]]
    if secure(settings.postgres_dsn, settings.schema, passwords):
        typer.echo(f"database roles: granted; logins: {', '.join(given) or 'as they were'}")
    else:
        typer.echo("database roles: not made, this login may not create roles (infra/postgres)")
    if settings.postgres_pooler_dsn:
        for statement in pooler.set_parameters(settings):
            typer.echo(f"postgres: a superuser must run: {statement}", err=True)
        for fault, todo in pooler.faults(settings):
            typer.echo(f"postgres: {fault} -> {todo}", err=True)
    typer.echo(f"admin token: {_admin(settings, rotate=rotate)}")


def _admin(settings: Settings, *, rotate: bool) -> str:
    """Make the administrator; return what to print of the token."""
    token = sole_admin(settings, rotate=rotate)
    if token is None:
        return (
            "made before, on another disk; give it as SEGUE_ADMIN_TOKEN, or replace it with "
            "segue init --rotate"
        )
    if settings.admin_token:
        return "that of SEGUE_ADMIN_TOKEN"
    # Not where it is kept for ever, such as the log of a container.
    return token if sys.stdout.isatty() else f"in {settings.paths.admin_token}"
