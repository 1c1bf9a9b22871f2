"""Where everything is: one frozen object read from the environment, the same in every process.

``segue up`` computes the values (ports, home folder) and hands them to each process as ``SEGUE_*``
variables; in production a deployment sets them. Secrets come from the environment or from the file
named by ``<NAME>_FILE``, never from a command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

from contracts.environ import converted, variable
from contracts.errors import ConfigurationError
from contracts.home import HomePaths

_PREFIX = "SEGUE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one deployment.

    Attributes
    ----------
    home
        Folder of the model, the lake, reports and (embedded) the servers' data.
    namespace
        Prefix of topics, Redis keys and PostgreSQL schema: one cluster, several deployments.
    kafka, redis_url, postgres_dsn
        Addresses of the stores.
    partitions
        Of the ``plays`` topic. Fixed for the life of a log: feature-store keys carry them.
    host_name
        Names this host's learner; every host folds the whole log in a consumer group of its own.
    port
        Of the HTTP API.
    snapshot_seconds
        Longest time between two model snapshots.
    lake_seconds, lake_rows
        The lake sink commits when either is reached.
    plays_retention_days
        How long Kafka keeps plays and feedback; 0: for ever. The lake keeps them either way.
    accept_cut_log
        1: a fold that stands before the beginning of the log goes on without what is gone.
    rate_per_token, rate_per_address
        Requests the API takes in ten seconds from one token, and from one address without a token.
    explore_share
        Probability with which a place of a list shows a track from further down, so that later
        models can be judged by these lists; every impression carries the propensities.
    lastfm_secret
        Shared secret of Last.fm signatures (``api_sig``); empty: signatures are not checked.
    flink
        Address of Flink's REST interface, ``http://127.0.0.1:8081``; empty: Flink does not run, and
        nobody reads or makes its topics.
    """

    home: Path = Path(".segue")
    namespace: str = "segue"
    kafka: str = "127.0.0.1:9092"
    redis_url: str = "redis://127.0.0.1:6379/0"
    postgres_dsn: str = "postgresql://postgres@127.0.0.1:5432/postgres"
    partitions: int = 4
    host_name: str = "local"
    host: str = "127.0.0.1"
    port: int = 8000
    snapshot_seconds: float = 20.0
    lake_seconds: float = 2.0
    lake_rows: int = 50_000
    admin_token: str = ""
    plays_retention_days: int = 0
    accept_cut_log: int = 0
    rate_per_token: int = 100_000
    rate_per_address: int = 3_000
    explore_share: float = 0.0
    lastfm_secret: str = ""
    flink: str = ""

    @property
    def paths(self) -> HomePaths:
        """The folders and files of this home."""
        return HomePaths(self.home)

    def environ(self) -> dict[str, str]:
        """Return the variables that make another process read these same settings."""
        return {f"{_PREFIX}{f.name.upper()}": str(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read ``SEGUE_*`` variables; what is not set keeps its default.

        Raises
        ------
        ConfigurationError
            Naming the variable that cannot be read.

        Examples
        --------
        >>> Settings.from_env({"SEGUE_PORT": "8123"}).port
        8123
        """
        source = os.environ if env is None else env
        types = get_type_hints(cls)
        values: dict[str, object] = {}
        for field in fields(cls):
            name = _PREFIX + field.name.upper()
            text = variable(source, name)
            if text is not None:
                values[field.name] = converted(name, text, types[field.name])
        settings = cls(**values)  # type: ignore[arg-type]
        if settings.partitions < 1:
            raise ConfigurationError("SEGUE_PARTITIONS must be at least 1")
        if not 0 <= settings.plays_retention_days <= 36_500:
            raise ConfigurationError(
                "SEGUE_PLAYS_RETENTION_DAYS is a number of days, or 0: plays are kept for ever"
            )
        if settings.accept_cut_log not in (0, 1):
            raise ConfigurationError("SEGUE_ACCEPT_CUT_LOG is 0 or 1")
        if not 0.0 <= settings.explore_share < 1.0:
            raise ConfigurationError("SEGUE_EXPLORE_SHARE is a probability below 1, such as 0.02")
        return settings
