"""Asking a broker whether it is there."""

from __future__ import annotations

from confluent_kafka import KafkaException

from contracts.kafka_client import addresses, admin
from contracts.settings import Settings
from infra.stack.ports import answers


def broker_answers(settings: Settings) -> bool:
    """Whether one of the brokers answers a metadata request.

    Raises
    ------
    ConfigurationError
        A setting is wrong.
    """
    places = (each.rpartition(":") for each in addresses(settings))
    # A refused connection is cheap; librdkafka is not.
    if not any(answers(int(port), host.strip("[]")) for host, _, port in places):
        return False
    try:
        quiet = admin(settings, "probe", {"log_level": 0, "socket.timeout.ms": 2000})
        return bool(quiet.list_topics(timeout=3.0).brokers)
    except KafkaException:
        return False
