"""The worker processes of a deployment. To add a worker, define it here and list it in ``WORKERS``.

``segue worker NAME``, the supervisor, ``segue status``, ``/readyz`` and the test of
``docker-compose.yml`` all read this list. Workers start in its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.database_roles import ADMIN, SINK, Part
from contracts.database_roles import API as API_PART
from contracts.database_roles import RELAY as RELAY_PART
from contracts.environ import variable
from contracts.topics import Kind, Topic, Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One kind of worker process.

    Attributes
    ----------
    name
        As in ``segue worker NAME``, heartbeats, log files and ``docker-compose.yml``.
    module
        Module with ``run(settings) -> exit code``, which blocks until SIGTERM.
    writes
        The store it writes to, for people.
    reads
        Kinds of topics it folds. A worker that reads a topic must report its offsets in
        heartbeats and apply erasures: ``segue down`` waits for it, ``segue status`` shows its
        lag, and an erasure waits until the worker has applied it.
    needs
        The worker runs only where this variable (or ``<name>_FILE``) is set, and not to 0; empty:
        always.
    after_ready
        Started once the rest of the stack is ready.
    deployed
        Has a service in ``docker-compose.yml``.
    database
        Its PostgreSQL role (:mod:`contracts.database_roles`).
    every_host
        Each process reads the whole log and keeps what it folds on its own disk; otherwise the
        processes of a worker share its partitions.
    fenced
        Its store holds the offset beside the rows and refuses a write that does not continue
        there: a process that was paused cannot write what another one has applied meanwhile.
    """

    name: str
    module: str
    writes: str
    reads: tuple[Kind, ...] = ()
    needs: str = ""
    after_ready: bool = False
    deployed: bool = True
    database: Part = SINK
    every_host: bool = False
    fenced: bool = False

    @property
    def optional(self) -> bool:
        """Whether a deployment may run without it."""
        return bool(self.needs)

    @property
    def folds(self) -> bool:
        """Whether it reads the log."""
        return bool(self.reads)

    def wanted(self, env: Mapping[str, str]) -> bool:
        """Whether it runs in a deployment with this environment.

        Examples
        --------
        >>> RELAY.wanted({"SEGUE_RELAY": "1"}), RELAY.wanted({"SEGUE_RELAY": "0"}), RELAY.wanted({})
        (True, False, False)
        """
        return not self.needs or (variable(env, self.needs) or "0").lower() not in ("0", "false")

    def topics(self, topics: Topics) -> tuple[Topic, ...]:
        """Return the topics it reads in a namespace."""
        return tuple(topics.of(kind) for kind in self.reads)


LISTENERS = WorkerSpec(
    name="listeners",
    module="streams.listeners",
    reads=(Kind.PLAYS, Kind.FEEDBACK),
    writes="Redis: the last plays of each listener",
    fenced=True,
)
LEARNER = WorkerSpec(
    name="learner",
    module="streams.learner",
    reads=(Kind.PLAYS,),
    writes="the model's arrays and snapshots",
    every_host=True,
)
LAKE_SINK = WorkerSpec(
    name="lake-sink",
    module="streams.lake_sink",
    reads=(Kind.PLAYS, Kind.FEEDBACK, Kind.IMPRESSIONS),
    writes="the Delta lake",
    fenced=True,
)
HISTORY_SINK = WorkerSpec(
    name="history-sink",
    module="streams.history_sink",
    reads=(Kind.PLAYS, Kind.FEEDBACK),
    writes="PostgreSQL: the history",
    fenced=True,
)
API = WorkerSpec(
    name="api",
    module="api.main",
    writes="Kafka, PostgreSQL: accounts",
    database=API_PART,
)
SNOWFLAKE_SINK = WorkerSpec(
    name="snowflake-sink",
    module="streams.snowflake_sink.worker",
    reads=(Kind.PLAYS, Kind.FEEDBACK, Kind.IMPRESSIONS),
    writes="Snowflake",
    needs="SEGUE_SNOWFLAKE_ACCOUNT",
)
RELAY = WorkerSpec(
    name="relay",
    module="streams.relay.worker",
    reads=(Kind.PLAYS,),
    writes="ListenBrainz, Last.fm: plays of listeners who asked for it",
    fenced=True,
    database=RELAY_PART,
    needs="SEGUE_RELAY",
)
ERASER = WorkerSpec(
    name="eraser",
    module="infra.operations.erasure.worker",
    writes="every store: takes erased listeners out",
    database=ADMIN,
    after_ready=True,
)
IMPORTER = WorkerSpec(
    name="importer",
    module="infra.operations.imports.worker",
    writes="plays of uploaded files, through the API",
    database=ADMIN,
    after_ready=True,
)
WEB = WorkerSpec(
    name="web",
    module="web.main",
    writes="Redis: who has signed in to the pages",
    after_ready=True,
)
FLINK = WorkerSpec(
    name="flink",
    module="infra.flink.worker",
    writes="Kafka: windows and patterns by event time",
    needs="SEGUE_FLINK",
    deployed=False,
)
RESULTS_SINK = WorkerSpec(
    name="results-sink",
    module="streams.results_sink",
    writes="Redis: the newest trending lists",
    needs="SEGUE_FLINK",
)
SIMULATOR = WorkerSpec(
    name="simulator",
    module="infra.simulator",
    writes="plays and feedback, over HTTP",
    database=ADMIN,
    needs="SEGUE_SIMULATE",
    after_ready=True,
    deployed=False,
)

WORKERS: tuple[WorkerSpec, ...] = (
    LISTENERS,
    LEARNER,
    LAKE_SINK,
    HISTORY_SINK,
    API,
    SNOWFLAKE_SINK,
    FLINK,
    RESULTS_SINK,
    RELAY,
    ERASER,
    IMPORTER,
    WEB,
    SIMULATOR,
)
BY_NAME: dict[str, WorkerSpec] = {spec.name: spec for spec in WORKERS}
#: Names of the workers that fold the log in every deployment; each must reach its end.
CORE_FOLDS: tuple[str, ...] = tuple(
    spec.name for spec in WORKERS if spec.folds and not spec.optional
)


def wanted(env: Mapping[str, str]) -> tuple[WorkerSpec, ...]:
    """Return the workers a deployment with this environment runs, in the order of their start.

    Examples
    --------
    >>> [spec.name for spec in wanted({}) if not spec.folds]
    ['api', 'eraser', 'importer', 'web']
    """
    return tuple(spec for spec in WORKERS if spec.wanted(env))
