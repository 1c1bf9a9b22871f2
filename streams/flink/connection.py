"""How Flink's Kafka connector reaches the brokers: the settings as its Java client names them."""

from __future__ import annotations

from contracts import kafka_client
from contracts.settings import Settings

#: The connector's jar contains Kafka's client in a renamed package.
_LOGIN = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.{module} required"
_MODULES = {"PLAIN": "plain.PlainLoginModule"}
_SCRAM = "scram.ScramLoginModule"


def properties(settings: Settings) -> dict[str, str]:
    """Return the properties of a source or sink, by their names in a table's options.

    Raises
    ------
    ConfigurationError
        A setting is missing or wrong.
    """
    found = {
        "bootstrap.servers": ",".join(kafka_client.addresses(settings)),
        "security.protocol": settings.kafka_security,
    }
    if kafka_client.uses_login(settings):
        module = _LOGIN.format(module=_MODULES.get(settings.kafka_mechanism, _SCRAM))
        name, password = _quoted(settings.kafka_user), _quoted(settings.kafka_password)
        found |= {
            "sasl.mechanism": settings.kafka_mechanism,
            "sasl.jaas.config": f"{module} username={name} password={password};",
        }
    if kafka_client.uses_tls(settings) and (file := kafka_client.authority(settings)):
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": file}
    return {f"properties.{name}": value for name, value in found.items()}


def options(values: dict[str, str]) -> str:
    """Write options of a table as SQL.

    Examples
    --------
    >>> options({"topic": "plays", "key.format": "raw"})
    "'topic' = 'plays', 'key.format' = 'raw'"
    """
    return ", ".join(f"'{name}' = '{_escaped(value)}'" for name, value in values.items())


def _escaped(value: str) -> str:
    return value.replace("'", "''")


def _quoted(value: str) -> str:
    """Quote a value for a line of JAAS."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
