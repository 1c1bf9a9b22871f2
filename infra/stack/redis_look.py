"""Whether Redis is of the kind that the settings name, and keeps what is written to it."""

from __future__ import annotations

from contracts.errors import ConfigurationError
from contracts.redis_client import CLUSTER, MOVED, parse, servers
from contracts.settings import Settings
from infra.operations.database import feature_store


def faults(settings: Settings) -> list[tuple[str, str]]:
    """Return what is wrong with Redis, and what to do about it; empty: all is well.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    ConfigurationError
        It refuses the login, or is a Cluster where one server was named, or the reverse.
    """
    found: list[tuple[str, str]] = []
    with feature_store(settings) as store:
        for server in servers(store):
            about = {**server.info("server"), **server.info("memory")}
            if about.get("redis_mode") == "cluster" and parse(settings.redis_url).kind != CLUSTER:
                raise ConfigurationError(MOVED)
            policy = about.get("maxmemory_policy", "noeviction")
            if about.get("maxmemory") and policy != "noeviction":
                found.append(
                    (
                        f"port {about.get('tcp_port')}: maxmemory-policy is {policy}, so that "
                        "listeners are forgotten when memory runs out",
                        "set it to noeviction: workers then wait until there is room",
                    )
                )
    return found
