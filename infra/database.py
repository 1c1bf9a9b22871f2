"""A connection to the deployment's PostgreSQL, for commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from contracts.errors import StoreUnavailable
from contracts.settings import Settings
from infra.stack.running import running


def settings_of(home: Path | None) -> Settings:
    """Return the settings a command works with.

    A deployment names its database in the environment; on one machine the running stack does.
    """
    named = home is None and "SEGUE_POSTGRES_DSN" in os.environ
    return Settings.from_env() if named else running(home).settings


@contextmanager
def connected(home: Path | None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Yield a connection in a transaction that ends with the block.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    """
    try:
        with psycopg.connect(settings_of(home).postgres_dsn, connect_timeout=5) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise StoreUnavailable(
            f"PostgreSQL does not answer ({type(error).__name__}); is the stack up?"
        ) from None
