"""Every Kafka client is made of the same settings; wrong ones are named before it connects."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from contracts import kafka_client
from contracts.errors import BrokerUnavailable, ConfigurationError
from contracts.kafka_client import Complaints
from contracts.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("contracts", "online_model", "streams", "batch", "api", "web", "infra")
LOGIN = Settings(kafka_security="SASL_SSL", kafka_user="ada", kafka_password="secret")


@pytest.mark.parametrize("kafka", ["", "broker", "broker:", ":9092", "a:1,b", "a:1;b:2"])
def test_what_is_no_address_is_named(kafka: str) -> None:
    with pytest.raises(ConfigurationError, match=r"SEGUE_KAFKA=.*HOST:PORT"):
        kafka_client.addresses(Settings(kafka=kafka))


def test_several_brokers_may_be_named() -> None:
    assert kafka_client.addresses(Settings(kafka=" a:1, b:2,[::1]:3,")) == ["a:1", "b:2", "[::1]:3"]


def test_a_login_travels_in_full_and_not_without_one() -> None:
    plain = kafka_client.connection(Settings(), "sink")
    assert plain["client.id"] == "segue.sink"
    assert not any(name.startswith(("sasl", "ssl")) for name in plain)
    found = kafka_client.connection(LOGIN, "sink")
    assert found["security.protocol"] == "SASL_SSL"
    assert found["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (found["sasl.username"], found["sasl.password"]) == ("ada", "secret")


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(LOGIN)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Settings(kafka_security="SASL_SSL"),
            "SEGUE_KAFKA_SECURITY=SASL_SSL needs SEGUE_KAFKA_USER",
        ),
        (Settings(kafka_security="SASL_PLAINTEXT", kafka_user="a"), "needs SEGUE_KAFKA_PASSWORD"),
        (Settings(kafka_security="SSL", kafka_ca="/none.pem"), "SEGUE_KAFKA_CA=/none.pem: No such"),
        (Settings(kafka_security="SSL", kafka_ca=__file__), "no Kafka client can be made"),
    ],
)
def test_a_wrong_setting_is_one_line(settings: Settings, message: str) -> None:
    for make in (kafka_client.producer, kafka_client.consumer, kafka_client.admin):
        with pytest.raises(ConfigurationError, match=message) as caught:
            make(settings, "test")
        assert "\n" not in str(caught.value)


def test_a_refusal_is_no_outage() -> None:
    heard = Complaints()
    timeout = KafkaException(KafkaError(KafkaError._TRANSPORT))
    heard(KafkaError(KafkaError._TRANSPORT, "connection refused"))
    heard(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    error = heard.explain(Settings(), "topic a", timeout)
    assert isinstance(error, BrokerUnavailable)
    assert "connection refused" in str(error)
    heard(KafkaError(KafkaError._AUTHENTICATION, "SASL authentication error"))
    error = heard.explain(Settings(), "topic a", timeout)
    assert isinstance(error, ConfigurationError)
    assert "SEGUE_KAFKA_PASSWORD" in str(error)
    denied = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert "segue acls" in str(Complaints().explain(Settings(), "", denied))


def _sources() -> dict[str, str]:
    """Return the text of each Python file of the packages by its path."""
    files = (path for name in _PACKAGES for path in (ROOT / name).rglob("*.py"))
    return {str(path.relative_to(ROOT)): path.read_text() for path in files}


def test_no_other_file_makes_a_client() -> None:
    """A client made elsewhere would know nothing of login, encryption and client id."""
    own = {"contracts/kafka_client.py", "streams/flink/connection.py"}
    made = re.compile(
        r"bootstrap\.servers|\b(Producer|Consumer|AdminClient)\(\s*[{\w]|Producer\(\)"
    )
    found = {
        path: hits
        for path, text in _sources().items()
        if path not in own and (hits := [m.group() for m in made.finditer(text)])
    }
    # Faust's own consumer class is extended, not made.
    assert found.keys() <= {"streams/app.py"}, found


def test_every_message_that_must_not_be_lost_needs_an_offset() -> None:
    """``contracts.deliveries`` decides what is acknowledged; impressions may be lost."""
    producing = {path: text for path, text in _sources().items() if re.search(r"\.produce\b", text)}
    deciding = {path for path, text in producing.items() if "contracts.deliveries" in text}
    assert producing.keys() - deciding == {"api/offers.py"}
    assert len(deciding) > 5
