"""The one place that makes Redis clients: one server, one watched by Sentinels, or a Cluster.

``SEGUE_REDIS_URL`` decides::

    redis://host:port/db                                 one server
    redis+sentinel://host:port,host:port/name/db         the primary that Sentinels name
    redis+cluster://host:port,host:port                  a Cluster, found from any of its nodes

A user and password stand before the hosts (``redis+cluster://user:password@host:port``). ``rediss``
in place of ``redis`` encrypts; ``?ssl_ca_certs=FILE`` names the authority. If the Sentinels have
another password than Redis, ``?sentinel_password=`` gives it.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import redis
import redis.asyncio
from redis import sentinel
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio import cluster as async_cluster
from redis.asyncio import sentinel as async_sentinel
from redis.asyncio.connection import AbstractConnection
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    MovedError,
    RedisClusterException,
    RedisError,
)

from contracts.errors import ConfigurationError, SegueError, StoreUnavailable

#: Errors of all clients. (A Cluster's own errors are not subclasses of ``RedisError``.)
REDIS_ERRORS = (RedisError, RedisClusterException)
#: The same, and errors of a connection that could not be opened.
UNAVAILABLE = (*REDIS_ERRORS, OSError)

_send = AbstractConnection.send_packed_command
# Flink's environment holds an older redis-py without this method, and makes no asynchronous client.
_can_read: Any = getattr(AbstractConnection, "can_read", None)


async def _send_or_fail(self: AbstractConnection, *command: Any, **options: Any) -> None:
    """Send as redis-py does, and raise an error of :data:`UNAVAILABLE` if the connection is lost.

    A server that is killed, or a firewall, may reset a connection that nobody reads. The next
    command then fails: in asyncio's own loop with an ``OSError``, which redis-py translates, but in
    uvloop, on which the API, the pages and the workers run, with a ``RuntimeError``, which redis-py
    passes on, and which no caller expects.
    """
    try:
        await _send(self, *command, **options)
    except RuntimeError as error:
        if "handler is closed" not in str(error):
            raise
        raise redis.ConnectionError("the connection was lost") from error


async def _can_read_or_is_lost(self: AbstractConnection) -> bool:
    """Answer as redis-py does, and also with ``True`` if the connection was reset.

    A pool asks this before it gives a connection away, and connects again after ``True``. redis-py
    itself notices an orderly end only.
    """
    if self._writer is not None and self._writer.is_closing():
        return True
    found: bool = await _can_read(self)
    return found


# redis-py has a class of connection for each of plain, encrypted, Sentinel's and local sockets, and
# a Cluster makes its own; these two methods are common to all.
AbstractConnection.send_packed_command = _send_or_fail  # type: ignore[method-assign]
if _can_read is not None:
    AbstractConnection.can_read = _can_read_or_is_lost  # type: ignore[method-assign]

#: Error text if the address of a single server is that of a node of a Cluster.
MOVED = (
    "SEGUE_REDIS_URL names a node of a Cluster as if it were alone; "
    "write redis+cluster://HOST:PORT,HOST:PORT"
)

SINGLE, SENTINEL, CLUSTER = "single", "sentinel", "cluster"
_URL = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://(?:(?P<login>[^@]*)@)?"
    r"(?P<hosts>[^/?]+)(?P<path>/[^?]*)?(?P<query>\?.*)?"
)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:;/\[\]]+):(\d+)")
#: Connections to a node of a Cluster, or to a primary, when many wait at once.
_MOST = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """The meaning of an address.

    Attributes
    ----------
    nodes
        Sentinels or nodes of the Cluster; of one server nothing.
    name
        Of the primary, as the Sentinels know it.
    login
        How to connect: user, password, database, encryption; by redis-py's names.
    guards
        How to connect to the Sentinels.
    """

    kind: str
    nodes: tuple[tuple[str, int], ...] = ()
    name: str = ""
    login: dict[str, Any] = field(default_factory=dict, repr=False)
    guards: dict[str, Any] = field(default_factory=dict, repr=False)


@cache
def parse(url: str) -> Target:
    """Read an address.

    Raises
    ------
    ConfigurationError
        It is not such an address; the message shows no password.

    Examples
    --------
    >>> parse("redis+cluster://a:7000,b:7000").nodes
    (('a', 7000), ('b', 7000))
    >>> target = parse("redis+sentinel://a:26379,b:26379/main/2")
    >>> target.kind, target.name, target.login["db"]
    ('sentinel', 'main', 2)
    """
    found = _URL.fullmatch(url)
    try:
        if found is None:
            login = _login(url)
            return Target(SINGLE, login=login)
        nodes = tuple(_node(each) for each in found["hosts"].split(","))
        name, _, db = (found["path"] or "").strip("/").partition("/")
        if found["kind"] == CLUSTER:
            name, db = "", name
        user = f"{found['login']}@" if found["login"] else ""
        login = _login(f"{found['scheme']}://{user}any:1/{db or 0}{found['query'] or ''}")
    except ValueError as error:
        raise ConfigurationError(
            f"SEGUE_REDIS_URL cannot be read ({error}); docs/clusters.md shows its forms"
        ) from None
    guards = {key: login.pop(f"sentinel_{key}", None) for key in ("username", "password")}
    guards |= {key: value for key, value in login.items() if key.startswith("ssl")}
    if found["kind"] == SENTINEL and not name:
        raise ConfigurationError(
            "SEGUE_REDIS_URL names Sentinels but no primary; give redis+sentinel://HOST:PORT/NAME"
        )
    if found["kind"] == CLUSTER and login.pop("db"):
        raise ConfigurationError("SEGUE_REDIS_URL: a Cluster has database 0 only")
    return Target(found["kind"], nodes, name, login, guards)


def _node(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return found[1].strip("[]"), int(found[2])


def _login(url: str) -> dict[str, Any]:
    login: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    login.pop("connection_class", None)
    if url.startswith("rediss"):
        login["ssl"] = True
        authority = login.get("ssl_ca_certs")
        if authority and not Path(authority).is_file():
            raise ValueError(f"ssl_ca_certs={authority}: there is no such file")
    if url.startswith("redis"):
        login.pop("host", None)
        login.pop("port", None)
    return login


def trouble(error: Exception) -> SegueError:
    """Return the error to raise for one of :data:`UNAVAILABLE`.

    Returns
    -------
    SegueError
        :class:`ConfigurationError` where the address is of another kind of server or its login is
        refused: waiting does not mend that. Else :class:`StoreUnavailable`.
    """
    if isinstance(error, MovedError):
        return ConfigurationError(MOVED)
    if isinstance(error, RedisClusterException) and "mode is not enabled" in str(error):
        return ConfigurationError(
            "SEGUE_REDIS_URL names a Cluster, but a server there is none; write redis://HOST:PORT"
        )
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return ConfigurationError(f"Redis refuses the login of SEGUE_REDIS_URL: {error}")
    return StoreUnavailable(f"Redis: {error or type(error).__name__}")


def client(url: str, **options: Any) -> redis.Redis:
    """Return a blocking client with the same commands for every kind of server.

    Parameters
    ----------
    options
        Of the connections, by redis-py's names: ``socket_timeout``, ``socket_connect_timeout``.

    Raises
    ------
    ConfigurationError
        The address is invalid.
    StoreUnavailable
        No node of a Cluster answers.
    """
    target = parse(url)
    if target.kind == CLUSTER:
        nodes = [ClusterNode(*place) for place in target.nodes]  # type: ignore[no-untyped-call]
        try:  # the client asks the Cluster for its nodes at once
            made = redis.RedisCluster(startup_nodes=nodes, **_cluster(target), **options)
        except UNAVAILABLE as error:
            raise trouble(error) from None
        return cast(redis.Redis, made)
    if target.kind == SENTINEL:
        guards = sentinel.Sentinel(  # type: ignore[no-untyped-call]
            target.nodes, sentinel_kwargs={**target.guards, **_times(options)}
        )
        primary = guards.master_for(target.name, **target.login, **options)  # type: ignore[no-untyped-call]
        return cast(redis.Redis, primary)
    return redis.Redis.from_url(url, **options)


def servers(made: redis.Redis) -> list[redis.Redis]:
    """Return a client of each server behind a client; of a Cluster its replicas too."""
    if isinstance(made, redis.RedisCluster):
        return [made.get_redis_connection(node) for node in made.get_nodes()]
    return [made]


def every_server(made: redis.Redis, url: str) -> list[redis.Redis]:
    """Return a client of each server behind an address, also of each replica.

    Parameters
    ----------
    made
        What :func:`client` returned for the address.

    Raises
    ------
    StoreUnavailable
        A server is down or has just joined. :func:`servers` leaves such a server out.
    """
    target = parse(url)
    if target.kind == SINGLE:
        return [made]
    if target.kind == CLUSTER:
        cluster = cast(redis.RedisCluster, made)
        cluster.nodes_manager.initialize()
        nodes: dict[str, dict[str, Any]] = cluster.cluster_nodes()
        _refuse_down({place: node["flags"] for place, node in nodes.items()})
        found = servers(made)
        holding = [n for n in nodes.values() if n["slots"] or n["master_id"] != "-"]
        if len(found) < len(holding):  # a replica that has just joined is not announced at once
            raise StoreUnavailable(
                f"Redis: the Cluster announces {len(found)} of {len(holding)} servers; try again"
            )
        return found
    replicas = _replicas(cast(sentinel.SentinelConnectionPool, made.connection_pool), target.name)
    _refuse_down({f"{each['ip']}:{each['port']}": each["flags"] for each in replicas})
    copies = [redis.Redis(host=r["ip"], port=int(r["port"]), **target.login) for r in replicas]
    return [made, *copies]


def _replicas(pool: sentinel.SentinelConnectionPool, name: str) -> list[dict[str, Any]]:
    """Ask the first Sentinel that answers for the replicas of a primary."""
    error: RedisError | None = None
    for guard in pool.sentinel_manager.sentinels:
        try:
            return cast(list[dict[str, Any]], guard.sentinel_slaves(name))
        except RedisError as now:
            error = now
    raise StoreUnavailable(f"Redis: no Sentinel answers: {error}")


#: Flags of ``CLUSTER NODES`` and of Sentinels for a server that does not answer.
_DOWN = {"fail", "s_down", "o_down", "disconnected"}


def _refuse_down(flags: dict[str, Any]) -> None:
    down = [place for place, words in flags.items() if _DOWN & set(re.split(r"\W+", str(words)))]
    if down:
        raise StoreUnavailable(
            f"Redis: {', '.join(down)} is down; "
            "start it, or remove it (CLUSTER FORGET, SENTINEL RESET)"
        )


def async_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client for asyncio that returns bytes; parameters and errors as :func:`client`."""
    target = parse(url)
    if target.kind == CLUSTER:
        nodes = [async_cluster.ClusterNode(host, port) for host, port in target.nodes]
        made = _Cluster(startup_nodes=nodes, **_cluster(target), **options)
        return cast(redis.asyncio.Redis, made)
    if target.kind == SENTINEL:
        return _guarded(target, options)
    return redis.asyncio.Redis.from_url(url, **options)


def subscriber(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client to subscribe with; parameters and errors as :func:`client`.

    For a Cluster the client connects to a random one of the named nodes: every node forwards each
    published message to all others.
    """
    target = parse(url)
    if target.kind != CLUSTER:
        return async_client(url, **options)
    host, port = random.choice(target.nodes)  # noqa: S311
    return redis.asyncio.Redis(host=host, port=port, **target.login, **options)


def queueing_client(url: str, *, most: int, wait: float, **options: Any) -> redis.asyncio.Redis:
    """Return a client whose callers wait for a free connection instead of failing.

    Parameters
    ----------
    most
        Connections to one server. Sentinel and Cluster clients cannot wait: they have more.
    wait
        Longest wait, seconds.
    """
    if parse(url).kind != SINGLE:
        return async_client(url, max_connections=_MOST, **options)
    pool = BlockingConnectionPool.from_url(url, max_connections=most, timeout=wait, **options)
    return redis.asyncio.Redis(connection_pool=pool)


def connections(url: str, **options: Any) -> Any:
    """Return a pool that makes single connections, for one server or the primary of Sentinels."""
    target = parse(url)
    if target.kind == SENTINEL:
        return _guarded(target, options).connection_pool
    return redis.asyncio.ConnectionPool.from_url(url, **options)


def connection_to(url: str, host: str, port: int, **options: Any) -> Connection:
    """Return a connection to one node of a Cluster, not made yet."""
    login = {**parse(url).login, "host": host, "port": port, **options}
    kind = redis.asyncio.SSLConnection if login.pop("ssl", False) else Connection
    return kind(**login)


class _Cluster(async_cluster.RedisCluster):
    """A Cluster's client whose every failure is one of redis-py's errors.

    After a failure the client closes all its connections, including one that another task is
    opening; that task then fails on an attribute of ``None``.
    """

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().execute_command(*args, **kwargs)
        except AttributeError as error:
            raise redis.ConnectionError(f"closed while it was made: {error}") from error


class _Guarded(redis.asyncio.Redis):
    """The primary that Sentinels name; closing it closes the connections to them too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        await let_go(self.connection_pool)


async def let_go(pool: Any) -> None:
    """Close a pool, and the connections to the Sentinels that it asks for the primary."""
    await pool.disconnect()
    if isinstance(pool, async_sentinel.SentinelConnectionPool):
        await pool.sentinel_manager.aclose()


def _guarded(target: Target, options: dict[str, Any]) -> redis.asyncio.Redis:
    guards = async_sentinel.Sentinel(  # type: ignore[no-untyped-call]
        target.nodes, sentinel_kwargs={**target.guards, **_times(options)}
    )
    made: _Guarded = guards.master_for(target.name, redis_class=_Guarded, **target.login, **options)
    return made


def _cluster(target: Target) -> dict[str, Any]:
    # While one node fails over, no node serves its slots: the others must continue to answer.
    return {**target.login, "require_full_coverage": False}


def _times(options: dict[str, Any]) -> dict[str, Any]:
    """Return time limits for asking a Sentinel: one that is away must not hold up the next."""
    limit = options.get("socket_connect_timeout") or 1.0
    return {"socket_timeout": limit, "socket_connect_timeout": limit}
