"""Asking a broker whether it is there."""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contracts.errors import ConfigurationError
from infra.stack.ports import answers


def broker_answers(address: str) -> bool:
    """Whether a broker answers a metadata request (of the first address of a list).

    Raises
    ------
    ConfigurationError
        The address has no port.
    """
    host, _, port = address.split(",")[0].rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError(f"{address!r} is no Kafka address; give HOST:PORT")
    if not answers(int(port), host):  # a refused connection is cheap; librdkafka is not
        return False
    try:
        quiet: dict[str, str | int | float | bool] = {
            "bootstrap.servers": address,
            "log_level": 0,
            "socket.timeout.ms": 2000,
        }
        return bool(AdminClient(quiet).list_topics(timeout=3.0).brokers)
    except KafkaException:
        return False
