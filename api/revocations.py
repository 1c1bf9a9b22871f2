"""Hears from PostgreSQL that a token changed, so that it is forgotten here at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import psycopg
from psycopg import sql

from api.auth import Accounts
from api.background import end
from contracts import channels

log = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0
# What has arrived is read at once; so long only if it is no notification.
_READ_SECONDS = 0.1


class Revocations:
    """Listens for as long as the process serves.

    While PostgreSQL cannot be heard, an answer is still forgotten after :data:`api.auth.TTL`.

    Attributes
    ----------
    heard
        Changes heard so far.
    listening
        Whether a connection listens now.
    """

    def __init__(self, dsn: str, accounts: Accounts) -> None:
        self._dsn = dsn
        self._accounts = accounts
        self._tasks: list[asyncio.Task[None]] = []
        self.heard = 0
        self.listening = False

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [asyncio.ensure_future(self._run())]

    async def stop(self) -> None:
        """Stop listening."""
        await end(self._tasks)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                if self.listening:
                    log.warning(
                        "revocations: lost the connection to PostgreSQL, reconnecting: %s",
                        type(error).__name__,
                    )
            self.listening = False
            # What changed while nobody listened is not known: believe nothing from before.
            self._accounts.forget_all()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=3
        )
        async with connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channels.TOKENS)))
            self.listening = True
            while True:
                async for notice in connection.notifies(timeout=_READ_SECONDS, stop_after=1):
                    self.heard += 1
                    with contextlib.suppress(ValueError):
                        self._accounts.forget(bytes.fromhex(notice.payload))
                await _readable(connection.fileno())


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read.

    psycopg's own wait wakes the process ten times a second; an idle API hardly wakes otherwise.
    """
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(descriptor)
