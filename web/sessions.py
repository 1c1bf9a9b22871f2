"""Who has signed in: kept in Redis, so that any process can answer and a restart ends nobody.

The browser holds a random id. Redis holds the session under the SHA-256 of the id, so a person who
reads Redis cannot sign in with its keys.
"""

from __future__ import annotations

import asyncio
import secrets
import time

import msgspec
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeout

from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE

#: A session without an end of its own (seconds).
_LONGEST = 30 * 86_400
#: Seconds between two requests to prolong a session.
_ASK_EVERY = 86_400


class Session(msgspec.Struct, kw_only=True):
    """What is known of a visitor.

    Attributes
    ----------
    token
        Of the API: everything is read and done with it.
    csrf
        Secret of every form, 32 hexadecimal digits.
    expires
        Seconds since the epoch.
    asked
        When the API was last asked to prolong it, seconds since the epoch.
    """

    token: str
    user: str
    roles: list[str]
    csrf: str
    expires: float
    time_zone: str = "UTC"
    theme: str = ""
    asked: float = 0.0

    def wants_more_time(self, now: float) -> bool:
        """Whether to ask the API to prolong it: once a day while it is used.

        An administrator's is never prolonged.
        """
        asked = max(self.asked, self.expires - _LONGEST)
        return "admin" not in self.roles and now - asked > _ASK_EVERY

    def may(self, role: str) -> bool:
        """Whether the visitor's token has a role; an administrator's has all."""
        return role in self.roles or "admin" in self.roles


_DECODER = msgspec.json.Decoder(Session)


class Sessions:
    """The sessions of one deployment.

    Parameters
    ----------
    redis
        A client that returns bytes.
    keys
        Names of the deployment's keys.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._waiting: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def make(self, session: Session) -> str:
        """Keep a new session and return its id; raises :class:`StoreUnavailable`."""
        secret = secrets.token_urlsafe(32)
        await self.keep(secret, session)
        return secret

    async def keep(self, secret: str, session: Session) -> None:
        """Write a session under its id; raises :class:`StoreUnavailable`."""
        seconds = max(1, min(_LONGEST, int(session.expires - time.time())))
        try:
            await self._redis.set(
                self._keys.web_session(secret), msgspec.json.encode(session), ex=seconds
            )
        except UNAVAILABLE as error:
            raise StoreUnavailable(f"Redis: {type(error).__name__}") from None

    async def find(self, secret: str) -> Session | None:
        """Return the session of an id, ``None`` for an unknown one.

        Raises
        ------
        StoreUnavailable
            Redis does not answer.
        """
        if not secret or len(secret) > 100 or not secret.isascii():
            return None
        value = await self._read(self._keys.web_session(secret))
        return None if value is None else _DECODER.decode(value)

    async def _read(self, key: str) -> bytes | None:
        """Return a value; keys that are asked for at the same time share one pipeline.

        After a restart every open tab comes back at once: a thousand single reads keep the event
        loop busy until they time out. A few pipelines do not.
        """
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await future

    async def _read_all(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            found: list[bytes | None] = []
            failed: Exception | None = None
            try:
                found = await self._many(list(asked))
            except Exception as error:  # every waiting request must get an answer
                failed = StoreUnavailable(f"Redis: {type(error).__name__}")
            for place, futures in enumerate(asked.values()):
                for future in futures:
                    if future.done():  # its request was cancelled
                        continue
                    if failed is None:
                        future.set_result(found[place])
                    else:
                        future.set_exception(failed)
        self._reading = None

    async def _many(self, keys: list[str]) -> list[bytes | None]:
        """Return values by their keys, in order; a read that times out is retried once.

        A busy event loop can miss the time limit although the answer has arrived.
        """
        try:
            return await self._pipelined(keys)
        except RedisTimeout:
            return await self._pipelined(keys)

    async def _pipelined(self, keys: list[str]) -> list[bytes | None]:
        # Not MGET: in a Cluster the keys are on several nodes.
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.get(key)
            found: list[bytes | None] = await pipe.execute()
        return found

    async def end(self, secret: str) -> None:
        """Forget a session; raises :class:`StoreUnavailable`."""
        try:
            await self._redis.delete(self._keys.web_session(secret))
        except UNAVAILABLE as error:
            raise StoreUnavailable(f"Redis: {type(error).__name__}") from None

    async def linked(self, code: str) -> str:
        """Return the token of a sign-in link (``segue up`` makes them); empty if it has expired."""
        try:
            value: bytes | None = await self._redis.get(self._keys.web_link(code[:100]))  # type: ignore[assignment]  # not decoded
        except (*UNAVAILABLE, UnicodeError) as error:
            raise StoreUnavailable(f"Redis: {type(error).__name__}") from None
        return "" if value is None else value.decode()
