"""Flink's connector reaches the brokers by the same settings as every other client."""

from __future__ import annotations

from pathlib import Path

from contracts.settings import Settings
from streams.flink.connection import options, properties


def test_in_clear_nothing_is_said_of_login() -> None:
    assert properties(Settings(kafka="a:1, b:2")) == {
        "properties.bootstrap.servers": "a:1,b:2",
        "properties.security.protocol": "PLAINTEXT",
    }


def test_login_and_authority(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    settings = Settings(
        kafka_security="SASL_SSL",
        kafka_user="ada",
        kafka_password='it\'s "so\\so"',
        kafka_ca=str(authority),
    )
    found = properties(settings)
    assert found["properties.sasl.mechanism"] == "SCRAM-SHA-512"
    assert found["properties.sasl.jaas.config"].endswith(
        r"""ScramLoginModule required username="ada" password="it's \"so\\so\"";"""
    )
    assert found["properties.ssl.truststore.location"] == str(authority)
    assert r"""password="it''s \"so""" in options(found)
