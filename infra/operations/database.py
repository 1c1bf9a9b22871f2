"""Connections to a deployment's stores, for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from contracts import redis_client
from contracts.postgres import Connection, connect
from contracts.settings import Settings
from infra.stack.running import running


@contextmanager
def connected(home: Path | None, *, autocommit: bool = False) -> Iterator[Connection]:
    """Yield a connection to the database of the stack that runs in a home; see
    :func:`contracts.postgres.connect`."""
    with connect(running(home).settings.postgres_dsn, autocommit=autocommit) as connection:
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
