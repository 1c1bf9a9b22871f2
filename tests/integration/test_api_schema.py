"""Requests made up from our own OpenAPI document: no 5xx, and every answer as it is described."""

from __future__ import annotations

import time
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration

#: Examples of each operation, and seconds for all of them together.
EXAMPLES, SECONDS = 12, 20
#: A stream has no whole answer to be checked.
ENDLESS = ("GET /v1/users/{user}/events",)
CHECKS = (
    not_a_server_error,
    response_schema_conformance,
    content_type_conformance,
    status_code_conformance,
)


def test_every_answer_is_as_described(stack: RunningStack) -> None:
    schema = schemathesis.openapi.from_url(f"{stack.api}/openapi.json")
    token = stack.token_for("schemer", ("listener", "analyst"))
    headers = {"Authorization": f"Token {token}"}
    deadline = time.monotonic() + SECONDS
    tried: dict[str, int] = {}
    problems: list[str] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.label in ENDLESS:
            continue
        tried[operation.label] = 0
        _try(operation, headers, deadline, tried, problems)
    assert not problems, "\n\n".join(problems)
    untried = [label for label, count in tried.items() if not count]
    assert not untried, f"no time for {untried}"


def _try(
    operation: Any,
    headers: dict[str, str],
    deadline: float,
    tried: dict[str, int],
    problems: list[str],
) -> None:
    # A 503 is what /readyz is for.
    checks = CHECKS[1:] if operation.label == "GET /readyz" else CHECKS

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        if tried[operation.label] and time.monotonic() > deadline:
            return
        tried[operation.label] += 1
        # A body of any type: what is not JSON is refused, not misread.
        case.call_and_validate(headers=headers, checks=checks, timeout=60)

    try:
        one()
    except (Exception, BaseExceptionGroup) as error:
        problems.append(f"{operation.label}: {error}")
