"""Detects a recreated topic: an in-memory broker restarted, or an operator deleted the topic.

Offsets of the old log mean nothing in the new one. A worker that continued would skip new plays
whose offsets it has already passed; so it ends, and the next one starts under the new log id.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from contracts.errors import BrokerUnavailable
from contracts.kafka import log_id_of
from contracts.kafka_client import admin
from contracts.settings import Settings
from streams.errors import LogChanged

_TIMEOUT = 4.0


class LogWatch:
    """Compares the log ids of topics with those at the start of the process.

    After a failure the next check makes a new client: the old one keeps waiting for the controller
    it knew, although another broker may have become the controller.

    Parameters
    ----------
    log_ids
        ``topic -> log id`` at the start.
    """

    def __init__(self, settings: Settings, log_ids: dict[str, str]) -> None:
        self.log_ids = log_ids
        self._settings = settings
        self._admin: AdminClient | None = None

    def check(self) -> None:
        """Return if every topic has the same log id as at the start.

        Raises
        ------
        LogChanged
            A topic has another log id, or does not exist.
        BrokerUnavailable
            The broker does not answer, so the log ids are unknown.
        """
        if self._admin is None:
            timeout = {"socket.timeout.ms": int(_TIMEOUT * 1000)}
            self._admin = admin(self._settings, "log-watch", timeout)
        try:
            described = self._admin.describe_topics(
                TopicCollection(list(self.log_ids)), request_timeout=_TIMEOUT
            )
            for topic, future in described.items():
                found = log_id_of(future.result(_TIMEOUT + 1))
                if found != self.log_ids[topic]:
                    raise LogChanged(
                        f"topic {topic} was deleted and created again, its id is now {found}"
                    )
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise LogChanged(f"a topic of {', '.join(self.log_ids)} is gone") from None
            self._admin = None
            raise BrokerUnavailable(f"Kafka does not answer: {error}") from None
        except TimeoutError:
            self._admin = None
            raise BrokerUnavailable("Kafka does not answer") from None
