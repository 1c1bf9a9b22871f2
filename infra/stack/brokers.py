"""Which broker a new home gets."""

from __future__ import annotations

from collections.abc import Callable

from contracts.errors import ConfigurationError
from infra.stack import kafka_jars

BROKERS = ("tansu", "kafka", "external")


def default_broker(say: Callable[[str], None], resolve: Callable[[], str] | None = None) -> str:
    """Return ``kafka`` where Apache Kafka can run, else ``tansu``.

    Tansu needs nothing installed, but it keeps the log in memory, and each fetch costs it more as
    the log grows (docs/adr/0001-embedded-broker.md).

    Parameters
    ----------
    say
        Takes a line for the person who watches.
    resolve
        Returns Kafka's class path or raises; may fetch the jars, once.
    """
    if not kafka_jars.resolved():
        say("fetching Apache Kafka, once after an installation")
    try:
        kafka_jars.check_java()
        (resolve or kafka_jars.classpath)()
    except (ConfigurationError, OSError) as error:
        say(f"Apache Kafka cannot run here ({error})")
        say("using tansu: its log is in memory only, and it slows down as the log grows")
        return "tansu"
    return "kafka"
