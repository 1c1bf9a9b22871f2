"""Faust connects as every other Kafka client does, and resumes where the fold stands."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import faust
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth, server_list
from faust.types import TP

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from streams.app import FoldConsumer, make_app

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


async def test_resuming_asks_the_brokers_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be out of reach for longer than Faust waits, and then it never reads again."""

    async def where(assigned: set[TP]) -> dict[TP, int]:
        return {tp: 7 + tp.partition for tp in assigned}

    async def unreachable(*_: object) -> Any:
        await asyncio.sleep(3600)

    sought: dict[TP, int] = {}

    async def seek(_: FoldConsumer, places: dict[TP, int]) -> None:
        sought.update(places)

    consumer = FoldConsumer.__new__(FoldConsumer)
    consumer.app = make_app(SASL, "segue.listeners", where)
    assigned = {TP("segue.plays", 0), TP("segue.plays", 1)}
    monkeypatch.setattr(FoldConsumer, "assignment", lambda _: assigned)
    monkeypatch.setattr(FoldConsumer, "seek_to_committed", unreachable)
    monkeypatch.setattr(FoldConsumer, "seek_wait", seek)
    async with asyncio.timeout(10):
        await consumer.perform_seek()
    assert sought == {TP("segue.plays", 0): 7, TP("segue.plays", 1): 8}
