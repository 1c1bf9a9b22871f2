"""Settings of a deployment: one frozen object read from the environment by every process.

``segue up`` computes the values (ports, home folder) and passes them to each process as ``SEGUE_*``
variables; in production the deployment sets them. Secrets come from the environment or from
the file named by ``<NAME>_FILE``, never from a command line. Settings of one part only are separate
groups (:mod:`contracts.options`, :mod:`contracts.snowflake`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from contracts.environ import Rule, read, setting, written
from contracts.home import HomePaths


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one deployment; ``docs/settings.md`` lists them.

    Examples
    --------
    >>> Settings.from_env({"SEGUE_PORT": "8123"}).port
    8123
    """

    PREFIX: ClassVar[str] = "SEGUE_"

    home: Path = setting(
        Path(".segue"),
        "Folder of the model, the lake, reports and (embedded) the servers' data.",
    )
    lake: str = setting(
        "",
        "`s3://BUCKET/PREFIX`: the lake, reports and nightly models are kept in object storage "
        "(docs/clusters.md); empty: in the home.",
    )
    s3_endpoint: str = setting(
        "", "Address of a server that speaks the protocol of Amazon S3; empty: Amazon's."
    )
    s3_region: str = setting("us-east-1", "Region of the bucket.")
    s3_key: str = setting(
        "",
        "Id of the access key to object storage; empty: that of the environment (`AWS_*` variables "
        "or the role of the machine).",
        secret=True,
    )
    s3_secret: str = setting("", "Secret of that key.", secret=True)
    model: str = setting(
        "",
        "Folder of the live model and its snapshots; empty: `model` in the home. Several hosts may "
        "share a home on a network volume, but each needs a local folder for its model.",
    )
    namespace: str = setting(
        "segue",
        "Prefix of topics, Redis keys and PostgreSQL schema: one cluster, several deployments.",
    )
    postgres_schema: str = setting(
        "",
        "Schema of the tables in PostgreSQL, and prefix of its logins; empty: the namespace. A "
        "deployment that moved to a new namespace keeps its schema (`segue repartition`).",
    )
    kafka: str = setting(
        "127.0.0.1:9092",
        "Addresses of Kafka brokers, HOST:PORT separated by commas. A client needs one that is up; "
        "it learns of the others from it.",
    )
    kafka_security: str = setting(
        "PLAINTEXT",
        "How clients reach the brokers; SSL encrypts, SASL logs in.",
        rule=Rule(choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")),
    )
    kafka_mechanism: str = setting(
        "SCRAM-SHA-512",
        "How the password is proved to the brokers (SASL).",
        rule=Rule(choices=("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")),
    )
    kafka_user: str = setting("", "Name to log in to the brokers with (SASL).")
    kafka_password: str = setting("", "Password of that name.", secret=True)
    kafka_ca: str = setting(
        "",
        "PEM file of the authority that signed the brokers' certificates; empty: those that the "
        "system trusts.",
    )
    kafka_replication: int = setting(
        0,
        "Copies of each topic. 0: three, or as many as there are brokers; -1: the "
        "brokers' own default. A topic with three or more copies gets min.insync.replicas 2.",
        rule=Rule(low=-1),
    )
    kafka_compression: str = setting(
        "none",
        "How producers compress what they send.",
        rule=Rule(choices=("none", "zstd", "lz4", "gzip")),
    )
    broker_holds_fetches: bool = setting(
        True,
        "0: the broker answers a fetch only when its waiting time ends, even if messages arrive "
        "(Tansu). Workers then fetch often while plays arrive; when idle, the API wakes them.",
    )
    redis_url: str = setting(
        "redis://127.0.0.1:6379/0",
        "Address of Redis, with its password: one server, `redis+sentinel://` or "
        "`redis+cluster://` (docs/clusters.md).",
        secret=True,
    )
    postgres_dsn: str = setting(
        "postgresql://postgres@127.0.0.1:5432/postgres",
        "Address of PostgreSQL, with its password.",
        secret=True,
    )
    postgres_pooler_dsn: str = setting(
        "",
        "Address of a pooler in front of PostgreSQL, such as PgBouncer in transaction mode "
        "(docs/clusters.md). Only the API's pools use it. Empty: they use SEGUE_POSTGRES_DSN.",
        secret=True,
    )
    postgres_connections: int = setting(
        8, "Connections of one API process for history and catalogue.", rule=Rule(low=1)
    )
    account_connections: int = setting(
        2, "Connections of one API process for accounts and audit.", rule=Rule(low=1)
    )
    max_connections: int = setting(
        8_192,
        "HTTP connections that one API process holds open; one address may hold half of them.",
        rule=Rule(low=2),
    )
    drain_seconds: float = setting(
        0.3,
        "Seconds from SIGTERM, when `/readyz` turns to 503, until the API refuses new "
        "connections. Give more than a load balancer needs to notice.",
        rule=Rule(low=0, high=60),
    )
    statement_timeout_ms: int = setting(
        3_000, "Longest time a statement of the API may take, ms.", rule=Rule(low=1)
    )
    lock_timeout_ms: int = setting(
        1_000, "Longest time a statement of the API waits for a lock, ms.", rule=Rule(low=1)
    )
    sink_lock_timeout_ms: int = setting(
        5_000,
        "Longest time the history sink waits for a lock before it reports that it waits, ms.",
        rule=Rule(low=1),
    )
    partitions: int = setting(
        4,
        "Partitions of the topics: 4 for one machine, 64 for a cluster. Fixed for the life of a "
        "log, because feature-store keys carry them; `segue repartition` copies it into a new one.",
        rule=Rule(low=1),
    )
    host_name: str = setting(
        "local",
        "Names this host's learner; every host folds the whole log in a consumer group of its own.",
    )
    host: str = setting("127.0.0.1", "Address the HTTP API listens at.")
    port: int = setting(8000, "Port of the HTTP API.", rule=Rule(low=0, high=65_535))
    web_port: int = setting(8001, "Port of the pages.", rule=Rule(low=0, high=65_535))
    web_url: str = setting(
        "",
        "Address under which people open the pages; empty: this machine's. With https the cookie "
        "of the pages is Secure.",
    )
    api_url: str = setting(
        "",
        "Where the pages and the importer reach the API; empty: at SEGUE_PORT of this machine.",
    )
    public_url: str = setting(
        "", "Where players reach the API; empty: at SEGUE_PORT of this machine."
    )
    trusted_proxies: str = setting(
        "127.0.0.1,::1",
        "Addresses, networks (10.1.0.0/16) and host names, separated by commas, from which the API "
        "and the pages trust the header X-Forwarded-For: proxies in front of them and, for the "
        "API, the processes of the pages. Each must append the address of its client to the "
        "header, or replace the header. From others the header is ignored (SECURITY.md).",
    )
    worker_port: int = setting(
        0,
        "Port at which a worker answers `/healthz` and `/metrics`, at the address SEGUE_HOST; 0: "
        "none. Two workers on one host need two ports. The API and the pages answer at their own.",
        rule=Rule(low=0, high=65_535),
    )
    snapshot_seconds: float = setting(
        20.0, "Longest time between two model snapshots.", rule=Rule(above=0)
    )
    lake_seconds: float = setting(
        2.0,
        "Seconds after which the lake sink commits its oldest message.",
        rule=Rule(above=0),
    )
    shared_sinks: bool = setting(
        False,
        "1: several processes of the lake sink and of the history sink share the partitions; each "
        "needs a SEGUE_HOST_NAME of its own. 0: one process of each reads all.",
    )
    lake_rows: int = setting(
        50_000, "The lake sink commits earlier if this many rows wait.", rule=Rule(low=1)
    )
    admin_token: str = setting(
        "",
        "Token of the administrator; without it `segue up` and `segue init` make one, once.",
        secret=True,
    )
    plays_retention_days: int = setting(
        0,
        "Days that Kafka keeps plays and feedback; 0: without limit. The lake keeps all of them.",
        rule=Rule(low=0, high=36_500),
    )
    accept_cut_log: bool = setting(
        False,
        "1: a worker continues without the messages that neither Kafka nor the lake holds "
        "(docs/retention.md).",
    )
    rate_per_token: int = setting(
        100_000, "Requests that the API accepts from one token in ten seconds.", rule=Rule(low=1)
    )
    rate_per_address: int = setting(
        3_000,
        "Requests without a token that the API accepts from one address in ten seconds.",
        rule=Rule(low=1),
    )
    freshness_seconds: float = setting(
        10.0,
        "The API follows one play in so many seconds until lists can reflect it, and publishes the "
        "time as a metric; 0: none.",
        rule=Rule(low=0),
    )
    traces_url: str = setting(
        "",
        "Where an OpenTelemetry collector takes traces (OTLP over HTTP), such as "
        "`http://127.0.0.1:4318/v1/traces`; empty: nothing is traced (docs/runbook.md).",
    )
    traces_share: float = setting(
        0.0,
        "Probability with which the API traces a request whose client does not say whether to "
        "(header `traceparent`).",
        rule=Rule(low=0, high=1),
    )
    traces_per_second: int = setting(
        20, "Requests that one API process traces per second at most.", rule=Rule(low=1)
    )
    explore_share: float = setting(
        0.0,
        "Probability with which a place of a list shows a track from further down, so that later "
        "models can be judged by these lists; impressions log it.",
        rule=Rule(low=0, below=1),
    )
    lastfm_secret: str = setting(
        "",
        "Shared secret of Last.fm signatures (`api_sig`); empty: signatures are not checked.",
        secret=True,
    )
    relay: bool = setting(
        False,
        "1: the worker `relay` runs, and listeners may have their plays sent on to their accounts "
        "at ListenBrainz and Last.fm.",
    )
    flink: str = setting(
        "",
        "Address of Flink's REST interface, `http://127.0.0.1:8081`; empty: Flink does not run, "
        "and no worker creates or reads its topics.",
    )
    flink_bound: int = setting(
        900,
        "A play that arrives more than so many seconds after it happened is late. Windows close "
        "so long after their end; a late play is in no window.",
        rule=Rule(low=1, high=86_400),
    )
    flink_state: str = setting(
        "hashmap",
        "Where the Flink jobs keep their state: in Java's memory (hashmap), enough for some 50,000 "
        "active listeners (an estimate), or on disk (rocksdb).",
        rule=Rule(choices=("hashmap", "rocksdb")),
    )

    @property
    def paths(self) -> HomePaths:
        """The folders and files of this home."""
        return HomePaths(self.home, Path(self.model) if self.model else None)

    @property
    def schema(self) -> str:
        """The schema of the tables in PostgreSQL, which is also the prefix of its logins."""
        return self.postgres_schema or self.namespace

    def environ(self) -> dict[str, str]:
        """Return the variables with which another process reads the same settings."""
        return written(self)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read ``SEGUE_*`` variables; a variable that is not set keeps its default.

        Raises
        ------
        ConfigurationError
            Naming the variable that cannot be read.

        Examples
        --------
        >>> Settings.from_env({"SEGUE_WEB_PORT": "eighty"})
        Traceback (most recent call last):
        contracts.errors.ConfigurationError: SEGUE_WEB_PORT='eighty' must be a whole number, \
at least 0, at most 65535: Port of the pages. (docs/settings.md)
        """
        return read(cls, env)
