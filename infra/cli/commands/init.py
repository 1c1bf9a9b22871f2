"""`segue init`: prepare external servers once: topics, tables, the administrator's account."""

from __future__ import annotations

import sys

import typer

from contracts.kafka import ensure_topics, set_retention
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.accounts import ensure_admin
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
    token = ensure_admin(settings.postgres_dsn, settings.home)
    # Not where it is kept for ever, such as the log of a container.
    place = settings.paths.admin_token
    typer.echo(f"admin token: {token if sys.stdout.isatty() else f'in {place}'}")
