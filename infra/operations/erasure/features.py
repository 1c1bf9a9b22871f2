"""Redis: the listener's window, what plays now, logins that wait; then the append-only file."""

from __future__ import annotations

import time

import numpy as np
import redis
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_message,
    retry_if_exception_type,
    stop_after_attempt,
    wait_fixed,
)

from contracts.accounts import read_consent
from contracts.errors import StoreUnavailable
from contracts.features import HEADER_BYTES, PLAY_BYTES, Keys
from contracts.ids import track_key
from contracts.redis_client import every_server
from contracts.settings import Settings
from infra.operations.database import feature_store
from infra.operations.erasure.target import Target

_ATTEMPTS = 20
_BUSY_SECONDS = 60.0


def forget(settings: Settings, target: Target) -> dict[str, int]:
    """Delete every key of a listener; returns how many there were.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    keys = Keys(settings.namespace, settings.partitions)
    with feature_store(settings) as client:
        names = [keys.listener(target.user_id), keys.playing_now(target.user_id)]
        removed = sum(int(client.delete(name)) for name in names)
        logins = 0
        for name in client.scan_iter(keys.lastfm_logins, count=1000):
            if _user_of(client.get(name)) == target.user_id:
                logins += int(client.delete(name))
    return {"keys": removed, "logins": logins}


def _user_of(login: object) -> str | None:
    try:
        return read_consent(login)[1] if isinstance(login, bytes) else None
    except ValueError:
        return None


def forget_play(
    settings: Settings, target: Target, second: int, artist: str, title: str
) -> dict[str, int]:
    """Take one play out of a listener's window; returns how many were there.

    The blob is read and written under WATCH, so a play that a worker folds in between is not lost.

    Raises
    ------
    StoreUnavailable
        Redis does not answer, or the blob changes faster than it can be written.
    """
    name = Keys(settings.namespace, settings.partitions).listener(target.user_id)
    identity = second.to_bytes(4, "big") + track_key(artist, title).to_bytes(8, "big")
    with feature_store(settings) as client, client.pipeline(transaction=True) as pipe:

        def take_out() -> int:
            pipe.watch(name)  # type: ignore[no-untyped-call]
            blob = pipe.get(name)
            if not isinstance(blob, bytes):
                return 0
            left = _without(blob, identity)
            pipe.multi()
            pipe.set(name, left)
            pipe.execute()
            return (len(blob) - len(left)) // PLAY_BYTES

        call = Retrying(
            retry=retry_if_exception_type(redis.WatchError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_fixed(0.01),
        )
        try:
            return {"plays": call(take_out)}
        except RetryError:
            raise StoreUnavailable(
                f"{name} changed during each of {_ATTEMPTS} attempts; run the erasure again"
            ) from None


def _without(blob: bytes, identity: bytes) -> bytes:
    split = HEADER_BYTES + 8 * int.from_bytes(blob[2:4], "big")
    plays = np.frombuffer(blob, np.uint8, offset=split).reshape(-1, PLAY_BYTES)
    wanted = np.frombuffer(identity, np.uint8)
    keep = (plays[:, : len(wanted)] != wanted).any(axis=1)
    left: bytes = plays[keep].tobytes()
    return blob[:split] + left


def rewrite(settings: Settings) -> dict[str, int]:
    """Have each server, also each replica, rewrite its append-only file without old commands.

    A managed Redis may not allow it; its own persistence then keeps old bytes as long as it does.

    Raises
    ------
    StoreUnavailable
        A server does not answer, a replica does not follow its primary, or a server is not done
        after a minute.
    """
    with feature_store(settings) as client:
        return {"files": sum(map(_rewritten, every_server(client, settings.redis_url)))}


def _rewritten(client: redis.Redis) -> bool:
    """Have one server rewrite its file; return whether it has one and may."""
    try:
        _wait_idle(client)
        if not client.info("persistence").get("aof_enabled"):
            return False
        _ask_for_rewrite(client)
        _wait_idle(client)
    except redis.ResponseError as error:
        if isinstance(error, redis.exceptions.NoPermissionError) or "unknown command" in str(error):
            return False
        raise StoreUnavailable(f"a Redis server does not rewrite its file: {error}") from error
    return True


def _ask_for_rewrite(client: redis.Redis) -> None:
    """Start a rewrite; wait first for one that began before, which may hold deleted keys."""
    for attempt in Retrying(
        retry=retry_if_exception_message(match="(?i).*already in progress"),
        stop=stop_after_attempt(_ATTEMPTS),
        reraise=True,
    ):
        with attempt:
            _wait_idle(client)
            client.bgrewriteaof()


def _wait_idle(client: redis.Redis) -> None:
    """Wait until a server neither rewrites its file nor, as a replica, copies its primary.

    A replica has no append-only file while it copies. It writes a new one afterwards, from a copy
    that may have been made before the keys were deleted.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while reason := _busy(client):
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"a Redis server {reason}; try again")
        time.sleep(0.05)


def _busy(client: redis.Redis) -> str | None:
    info = client.info()
    if info.get("aof_rewrite_in_progress") or info.get("aof_rewrite_scheduled"):
        return "is still rewriting its append-only file"
    if info.get("master_link_status", "up") != "up":
        return "is a replica that does not follow its primary"
    return None
