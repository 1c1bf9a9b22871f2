"""A broker for the tests of private parts: the fixtures of the integration tests."""

from __future__ import annotations

from tests.integration.conftest import broker, broker_home, pytest_generate_tests

__all__ = ["broker", "broker_home", "pytest_generate_tests"]
