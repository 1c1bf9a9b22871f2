"""`segue init`: prepare external servers once: topics, tables, the administrator's account."""

from __future__ import annotations

import sys

import typer

from contracts.database_roles import ADMIN, API, PARTS, RELAY, SINK, role_name
from contracts.environ import read
from contracts.kafka import ensure_topics, set_retention
from contracts.options import DatabaseLogins
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.accounts import ensure_admin
from infra.stack.grants import secure
from infra.stack.migrations import migrate


def init() -> None:
    """Create what is missing in the servers that SEGUE_* names; harmless when repeated."""
    settings = Settings.from_env()
    settings.home.mkdir(parents=True, exist_ok=True)
    configs = Topics(settings.namespace).configs(
        settings.plays_retention_days, flink=bool(settings.flink)
    )
    topics = ensure_topics(settings.kafka, configs, settings.partitions)
    typer.echo(f"topics: {', '.join(topics)} with {settings.partitions} partitions")
    if settings.plays_retention_days:  # else a topic keeps what somebody gave it
        changed = set_retention(settings.kafka, configs)
        days = f"plays are kept {settings.plays_retention_days} days"
        typer.echo(f"retention: {days}{', now also in ' if changed else ''}{', '.join(changed)}")
    applied = migrate(settings.postgres_dsn, settings.namespace)
    typer.echo(f"schema {settings.namespace}: {', '.join(applied) or 'up to date'}")
    logins = read(DatabaseLogins)
    passwords = {
        API: logins.api_password,
        SINK: logins.sink_password,
        RELAY: logins.relay_password,
        ADMIN: logins.admin_password,
    }
    given = [role_name(settings.namespace, part) for part in PARTS if passwords[part]]
    if secure(settings.postgres_dsn, settings.namespace, passwords):
        typer.echo(f"database roles: granted; logins: {', '.join(given) or 'as they were'}")
    else:
        typer.echo("database roles: not made, this login may not create roles (infra/postgres)")
    token = ensure_admin(settings.postgres_dsn, settings.home, settings.admin_token)
    # Not where it is kept for ever, such as the log of a container.
    place = (
        "that of SEGUE_ADMIN_TOKEN" if settings.admin_token else f"in {settings.paths.admin_token}"
    )
    shown = sys.stdout.isatty() and not settings.admin_token
    typer.echo(f"admin token: {token if shown else place}")
