"""The topics of the play log: their kinds, names, keys and retention."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_DAY_MS = 24 * 60 * 60 * 1000


class Kind(StrEnum):
    """Kinds of topics. The Flink jobs publish the last five.

    A result has its version in its name: a job with another definition starts a new topic beside
    the old one, and readers switch to it.
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


#: Retention of a result, days. A trending list replaces the previous one. Results that name
#: listeners must have a limit, because erased listeners must disappear from them.
RESULT_DAYS: dict[Kind, int] = {
    Kind.TRENDING: 1,
    Kind.SESSIONS: 30,
    Kind.UNIQUES: 30,
    Kind.SUSPECTS: 30,
    Kind.LATE: 90,
}


class Topic(str):
    """The name of a topic in one namespace: a string for Kafka clients, with its kind.

    Examples
    --------
    >>> topic = Topic(Kind.PLAYS, "segue")
    >>> topic, topic.kind.value, topic.place(3)
    ('segue.plays', 'plays', 'segue.plays:3')
    """

    __slots__ = ("kind",)
    kind: Kind

    def __new__(cls, kind: Kind, namespace: str) -> Topic:
        """Create the topic of a kind in a namespace."""
        topic = super().__new__(cls, f"{namespace}.{kind}")
        topic.kind = kind
        return topic

    def place(self, partition: int) -> str:
        """Return the key of a partition in the offsets of a heartbeat."""
        return f"{self}:{partition}"


@dataclass(frozen=True, slots=True)
class Topics:
    """The Kafka topics of one namespace (``SEGUE_NAMESPACE``), the prefix of their names.

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
        """Return the topic of that name; ``None`` if this namespace has no such topic.

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
        """The topics that have a RAW table in the lake and in Snowflake (contracts.lake.TABLES)."""
        return self.plays, self.feedback, self.impressions

    @property
    def results(self) -> dict[str, Topic]:
        """Topics of the Flink jobs, by job (contracts.results, contracts.suspects)."""
        return {kind.table: self.of(kind) for kind in RESULT_DAYS}

    def configs(self, plays_days: int = 0, *, flink: bool = False) -> dict[str, dict[str, str]]:
        """Return topic settings by name.

        ``plays`` and ``feedback`` have no retention limit, because the log is the truth, unless
        ``plays_days`` sets one. ``erasures`` never have a limit: a consumer that missed an erasure
        would restore the listener. Impressions are kept 30 days (the lake stores them), dead
        letters 90. With `flink` the topics of results are included.

        Examples
        --------
        >>> configs = Topics("segue").configs(plays_days=7)
        >>> configs["segue.plays"]["retention.ms"], configs["segue.erasures"]["retention.ms"]
        ('604800000', '-1')
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
