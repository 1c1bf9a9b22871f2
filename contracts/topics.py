"""The topics of the play log: their kinds, names, keys and retention."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_DAY_MS = 24 * 60 * 60 * 1000


class Kind(StrEnum):
    """What a topic holds. The last five are what the Flink jobs publish.

    The version stands in the name of a result: a job that counts otherwise begins a topic beside
    the old one, and readers change over.
    """

    PLAYS = "plays"
    FEEDBACK = "feedback"
    IMPRESSIONS = "impressions"
    DEAD_LETTERS = "dead-letters"
    ERASURES = "erasures"
    TRENDING = "trending.v1"
    SESSIONS = "sessions.v1"
    UNIQUES = "uniques.v1"
    SUSPECTS = "suspects.v1"
    LATE = "late.v1"

    @property
    def table(self) -> str:
        """The kind without its version: the name of the RAW table, and of the Flink job.

        Examples
        --------
        >>> Kind.PLAYS.table, Kind.SESSIONS.table
        ('plays', 'sessions')
        """
        return self.value.partition(".")[0]


#: How many days a result is kept. A trending list replaces the one before; what names listeners
#: must not be kept for ever, since erased ones have to vanish from it.
RESULT_DAYS: dict[Kind, int] = {
    Kind.TRENDING: 1,
    Kind.SESSIONS: 30,
    Kind.UNIQUES: 30,
    Kind.SUSPECTS: 30,
    Kind.LATE: 90,
}


class Topic(str):
    """The name of a topic in one namespace. It is a string to Kafka clients, and knows its kind.

    Examples
    --------
    >>> topic = Topic(Kind.PLAYS, "segue")
    >>> topic, topic.kind.value, topic.place(3)
    ('segue.plays', 'plays', 'segue.plays:3')
    """

    __slots__ = ("kind",)
    kind: Kind

    def __new__(cls, kind: Kind, namespace: str) -> Topic:
        """Make the topic of a kind in a namespace."""
        topic = super().__new__(cls, f"{namespace}.{kind}")
        topic.kind = kind
        return topic

    def place(self, partition: int) -> str:
        """Return the key of a partition in the offsets of a heartbeat."""
        return f"{self}:{partition}"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one namespace.

    Examples
    --------
    >>> Topics("segue").plays
    'segue.plays'
    """

    namespace: str

    def of(self, kind: Kind) -> Topic:
        """Return the topic of a kind."""
        return Topic(kind, self.namespace)

    def named(self, name: str) -> Topic | None:
        """Return the topic of that name, ``None`` where this namespace has none.

        Examples
        --------
        >>> Topics("segue").named("segue.plays").kind.value, Topics("segue").named("other.plays")
        ('plays', None)
        """
        return next((topic for kind in Kind if (topic := self.of(kind)) == name), None)

    @property
    def plays(self) -> Topic:
        """Key ``user_id``, value :class:`contracts.events.Submission`."""
        return self.of(Kind.PLAYS)

    @property
    def feedback(self) -> Topic:
        """Key ``user_id``, value :class:`contracts.events.Feedback`."""
        return self.of(Kind.FEEDBACK)

    @property
    def impressions(self) -> Topic:
        """Key ``user_id``, value :class:`contracts.impressions.Impression`."""
        return self.of(Kind.IMPRESSIONS)

    @property
    def dead_letters(self) -> Topic:
        """Key ``topic:partition:offset``, value :class:`contracts.events.DeadLetter`."""
        return self.of(Kind.DEAD_LETTERS)

    @property
    def erasures(self) -> Topic:
        """Key ``listener:event_id``, value :class:`contracts.erasures.Erasure`."""
        return self.of(Kind.ERASURES)

    @property
    def landed(self) -> tuple[Topic, Topic, Topic]:
        """The topics that the lake and Snowflake keep a RAW table of (contracts.lake.TABLES)."""
        return self.plays, self.feedback, self.impressions

    @property
    def results(self) -> dict[str, Topic]:
        """What the Flink jobs publish, by job (contracts.results, contracts.suspects)."""
        return {kind.table: self.of(kind) for kind in RESULT_DAYS}

    def configs(self, plays_days: int = 0, *, flink: bool = False) -> dict[str, dict[str, str]]:
        """Return topic settings by name.

        ``plays`` and ``feedback`` are kept for ever, since the log is the truth, unless
        ``plays_days`` says how long. ``erasures`` are kept for ever in any case: a consumer that
        did not see an erasure would bring the listener back. Impressions stay 30 days (the lake
        keeps them), dead letters 90. With `flink` the topics of results are among them.
        """
        forever = {"retention.ms": "-1", "cleanup.policy": "delete"}
        plays = {**forever, "retention.ms": str(plays_days * _DAY_MS)} if plays_days else forever
        return {
            self.plays: plays,
            self.feedback: plays,
            self.erasures: forever,
            self.impressions: {"retention.ms": str(30 * _DAY_MS)},
            self.dead_letters: {"retention.ms": str(90 * _DAY_MS)},
            **(self._result_configs() if flink else {}),
        }

    def _result_configs(self) -> dict[str, dict[str, str]]:
        return {
            self.of(kind): {"retention.ms": str(days * _DAY_MS)}
            for kind, days in RESULT_DAYS.items()
        }
