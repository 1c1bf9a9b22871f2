"""Faust connects as every other Kafka client does."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import faust
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth, server_list

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from streams.app import make_app

SASL = Settings(kafka_security="SASL_PLAINTEXT", kafka_user="ada", kafka_password="secret")


async def _nowhere(_: Any) -> dict[Any, int]:
    return {}


def _app(settings: Settings) -> faust.App:
    return make_app(settings, "segue.listeners", _nowhere)


def test_all_brokers_are_known_to_it() -> None:
    app = _app(Settings(kafka="one:9092, two:9093,[::1]:9094"))
    wanted = ["one:9092", "two:9093", "[::1]:9094"]
    assert server_list(app.transport.url, 9092) == wanted
    assert app.conf.broker_client_id == "segue.listeners"


def test_it_logs_in_and_encrypts() -> None:
    def auth(settings: Settings) -> dict[str, Any]:
        return dict(credentials_to_aiokafka_auth(_app(settings).conf.broker_credentials))

    assert auth(Settings()) == {"security_protocol": "PLAINTEXT"}
    found = auth(SASL)
    assert (found["security_protocol"], found["ssl_context"]) == ("SASL_PLAINTEXT", None)
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("ada", "secret")
    both = auth(replace(SASL, kafka_security="SASL_SSL", kafka_ca=certifi.where()))
    assert both["security_protocol"] == "SASL_SSL"
    assert both["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert both["ssl_context"].check_hostname
    assert auth(Settings(kafka_security="SSL"))["security_protocol"] == "SSL"


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("none")
    with pytest.raises(ConfigurationError, match=r"SEGUE_KAFKA_CA=.* is not a PEM file"):
        _app(Settings(kafka_security="SSL", kafka_ca=str(tmp_path / "ca")))
