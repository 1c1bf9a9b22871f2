"""Connections to a deployment's stores, for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis

from contracts import redis_client
from contracts.postgres import explained
from contracts.settings import Settings
from infra.stack.running import running

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def postgres(dsn: str, *, autocommit: bool = False) -> Iterator[Connection]:
    """Yield a connection, by default in a transaction that ends with the block.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    ConfigurationError
        The login lacks a right, or the database a table.
    """
    with (
        explained(dsn),
        psycopg.connect(dsn, autocommit=autocommit, connect_timeout=10) as connection,
    ):
        yield connection


@contextmanager
def connected(home: Path | None, *, autocommit: bool = False) -> Iterator[Connection]:
    """Yield a connection to the database of the stack that runs in a home; see :func:`postgres`."""
    with postgres(running(home).settings.postgres_dsn, autocommit=autocommit) as connection:
        yield connection


@contextmanager
def feature_store(settings: Settings) -> Iterator[redis.Redis]:
    """Yield a client of the feature store.

    Raises
    ------
    StoreUnavailable
        Redis does not answer, or refuses.
    """
    client = redis_client.client(settings.redis_url, socket_timeout=10.0)
    try:
        yield client
    except redis_client.REDIS_ERRORS as error:
        raise redis_client.trouble(error) from None
    finally:
        client.close()
