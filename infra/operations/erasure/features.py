"""Redis: the listener's window, what plays now, logins that wait; then the append-only file."""

from __future__ import annotations

import time

import numpy as np
import redis
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_fixed,
)

from contracts.accounts import read_consent
from contracts.errors import StoreUnavailable
from contracts.features import HEADER_BYTES, PLAY_BYTES, Keys
from contracts.ids import track_key
from contracts.redis_client import servers
from contracts.settings import Settings
from infra.operations.database import feature_store
from infra.operations.erasure.target import Target

_ATTEMPTS = 20
_REWRITE_SECONDS = 60.0


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
            raise StoreUnavailable(f"{name} changes all the time; try again") from None


def _without(blob: bytes, identity: bytes) -> bytes:
    split = HEADER_BYTES + 8 * int.from_bytes(blob[2:4], "big")
    plays = np.frombuffer(blob, np.uint8, offset=split).reshape(-1, PLAY_BYTES)
    wanted = np.frombuffer(identity, np.uint8)
    keep = (plays[:, : len(wanted)] != wanted).any(axis=1)
    left: bytes = plays[keep].tobytes()
    return blob[:split] + left


def rewrite(settings: Settings) -> dict[str, int]:
    """Have the append-only file rewritten, so that it holds no old commands.

    A managed Redis may not allow it; its own persistence then keeps old bytes as long as it does.
    """
    with feature_store(settings) as client:
        return {"files": sum(map(_rewritten, servers(client)))}


def _rewritten(client: redis.Redis) -> bool:
    """Have one server rewrite its file; return whether it has one and may."""
    try:
        if not client.info("persistence").get("aof_enabled"):
            return False
        client.bgrewriteaof()
        deadline = time.monotonic() + _REWRITE_SECONDS
        while _rewriting(client):
            if time.monotonic() > deadline:
                raise StoreUnavailable("Redis is still rewriting its file")
            time.sleep(0.05)
    except redis.ResponseError:
        return False
    return True


def _rewriting(client: redis.Redis) -> bool:
    info = client.info("persistence")
    names = ("aof_rewrite_in_progress", "aof_rewrite_scheduled")
    return any(info.get(name) for name in names)
