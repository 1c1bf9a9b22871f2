"""The one place that makes Kafka clients: addresses, encryption, login, client id.

Every producer, consumer and admin client of confluent-kafka comes from here; the Faust application
(:mod:`streams.app`) and the Flink jobs (:mod:`streams.flink.connection`) read the same settings.
docs/adr/0030-one-factory-of-kafka-clients.md has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from contracts.errors import BrokerUnavailable, ConfigurationError, SegueError
from contracts.settings import Settings

C = TypeVar("C")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:;/\[\]]+):\d+")

#: Errors that no retry fixes (the broker refuses the client, or the client its certificate), with
#: the settings to check.
_REFUSALS = {
    KafkaError._AUTHENTICATION: "SEGUE_KAFKA_USER and SEGUE_KAFKA_PASSWORD",
    KafkaError.SASL_AUTHENTICATION_FAILED: "SEGUE_KAFKA_USER and SEGUE_KAFKA_PASSWORD",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "SEGUE_KAFKA_MECHANISM",
    KafkaError._SSL: "SEGUE_KAFKA_CA and SEGUE_KAFKA_SECURITY",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the ACLs of SEGUE_KAFKA_USER (`segue acls`)",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the ACLs of SEGUE_KAFKA_USER (`segue acls`)",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the ACLs of SEGUE_KAFKA_USER (`segue acls`)",
}


class Complaints:
    """Keeps the errors that a client reports in the background, to explain a failed call.

    A refused client retries forever, and the call that waits for it only times out.

    Examples
    --------
    >>> heard = Complaints()
    >>> heard(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    >>> print(heard.explain(Settings(), "segue.plays", TimeoutError()))
    segue.plays at 127.0.0.1:9092: wrong password; check SEGUE_KAFKA_USER and SEGUE_KAFKA_PASSWORD
    """

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self.refusal: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take a report (``error_cb`` of librdkafka)."""
        if error.code() in _REFUSALS:
            self.refusal = error
        elif error.code() != KafkaError._ALL_BROKERS_DOWN:  # gives no reason
            self.last = error

    def explain(self, settings: Settings, what: str, error: Exception) -> SegueError:
        """Return the error to raise for a call that failed.

        Parameters
        ----------
        what
            Subject of the call, such as a topic; may be empty.
        error
            What the call raised.

        Returns
        -------
        SegueError
            :class:`ConfigurationError` where the broker refuses the login, else
            :class:`BrokerUnavailable`.
        """
        where = f"{what} at {settings.kafka}" if what else f"Kafka at {settings.kafka}"
        own = error.args[0] if isinstance(error, KafkaException) else None
        refusal = own if own is not None and own.code() in _REFUSALS else self.refusal
        if refusal is not None:
            return ConfigurationError(
                f"{where}: {refusal.str()}; check {_REFUSALS[refusal.code()]}"
            )
        why = str(error) or "no answer in time"
        return BrokerUnavailable(f"{where}: {why}{f' ({self.last.str()})' if self.last else ''}")


def addresses(settings: Settings) -> list[str]:
    """Return the addresses of the brokers, ``HOST:PORT`` each.

    Raises
    ------
    ConfigurationError
        One of them is no address.

    Examples
    --------
    >>> addresses(Settings(kafka="one:9092, two:9092"))
    ['one:9092', 'two:9092']
    """
    found = [each.strip() for each in settings.kafka.split(",") if each.strip()]
    for each in found or [""]:
        if not _ADDRESS.fullmatch(each):
            raise ConfigurationError(
                f"SEGUE_KAFKA={settings.kafka!r}: {each!r} is not the address of a broker; "
                "give HOST:PORT, several separated by commas"
            )
    return found


def uses_tls(settings: Settings) -> bool:
    """Whether connections are encrypted."""
    return settings.kafka_security in ("SSL", "SASL_SSL")


def uses_login(settings: Settings) -> bool:
    """Whether clients log in with a name and a password.

    Raises
    ------
    ConfigurationError
        They should, and one of the two is missing.
    """
    if not settings.kafka_security.startswith("SASL"):
        return False
    for name in ("user", "password"):
        if not getattr(settings, f"kafka_{name}"):
            raise ConfigurationError(
                f"SEGUE_KAFKA_SECURITY={settings.kafka_security} needs SEGUE_KAFKA_{name.upper()}"
            )
    return True


def authority(settings: Settings) -> str | None:
    """Return the file of the certificate authority; ``None``: those the system trusts.

    Raises
    ------
    ConfigurationError
        The file cannot be read.
    """
    if not settings.kafka_ca:
        return None
    try:
        with Path(settings.kafka_ca).open("rb"):
            return settings.kafka_ca
    except OSError as error:
        raise ConfigurationError(
            f"SEGUE_KAFKA_CA={settings.kafka_ca}: {error.strerror or error}; "
            "give the PEM file of the authority that signed the brokers' certificates"
        ) from None


def client_id(settings: Settings, who: str) -> str:
    """Return the name under which a client appears in the broker's logs, metrics and quotas."""
    return f"{settings.namespace}.{who}"


def connection(settings: Settings, who: str) -> dict[str, Any]:
    """Return what every client of librdkafka needs to reach the brokers, by librdkafka's names.

    Raises
    ------
    ConfigurationError
        An address, the login or the file of the authority is missing or wrong.
    """
    found: dict[str, Any] = {
        "bootstrap.servers": ",".join(addresses(settings)),
        "client.id": client_id(settings, who),
        "security.protocol": settings.kafka_security,
    }
    if uses_login(settings):
        found |= {
            "sasl.mechanism": settings.kafka_mechanism,
            "sasl.username": settings.kafka_user,
            "sasl.password": settings.kafka_password,
        }
    if uses_tls(settings) and (file := authority(settings)):
        found["ssl.ca.location"] = file
    return found


def producer(settings: Settings, who: str, own: Mapping[str, Any] | None = None) -> Producer:
    """Return an idempotent producer: acknowledged means held by every copy in sync.

    Parameters
    ----------
    who
        Its part of the client id.
    own
        Further settings of librdkafka.

    Raises
    ------
    ConfigurationError
        A setting is wrong.
    """
    return _made(
        Producer,
        {
            **connection(settings, who),
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": settings.kafka_compression,
            "log_level": 2,
            **(own or {}),
        },
    )


def consumer(settings: Settings, who: str, own: Mapping[str, Any] | None = None) -> Consumer:
    """Return a consumer that commits nothing by itself; its partitions are assigned by hand.

    The group is never joined. Its name is prefixed with the namespace, so that one ACL covers all.
    Parameters and errors are those of :func:`producer`.
    """
    return _made(
        Consumer,
        {
            **connection(settings, who),
            "group.id": client_id(settings, who),
            "enable.auto.commit": False,
            "log_level": 2,
            **(own or {}),
        },
    )


def admin(settings: Settings, who: str, own: Mapping[str, Any] | None = None) -> AdminClient:
    """Return an admin client; parameters and errors are those of :func:`producer`."""
    # log_level: else the client logs its own closing on standard error.
    return _made(AdminClient, {**connection(settings, who), "log_level": 2, **(own or {})})


def _made(kind: Callable[[dict[str, Any]], C], config: dict[str, Any]) -> C:
    try:
        return kind(config)
    except (KafkaException, ValueError) as error:
        raise ConfigurationError(f"no Kafka client can be made of the settings: {error}") from None
