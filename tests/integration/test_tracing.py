"""A play with a client's ``traceparent``, followed through every process to the list after it."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import Any

import httpx
import pytest

from contracts.topics import Topics
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack
from tests.otlp import Collector, TakenSpan

pytestmark = pytest.mark.integration
FOLDS = {"listeners", "learner", "history-sink", "lake-sink"}


def traceparent(trace: str, *, sampled: bool = True) -> str:
    return f"00-{trace}-{secrets.token_hex(8)}-{'01' if sampled else '00'}"


class Client:
    """A client that sends a ``traceparent`` with each request."""

    def __init__(self, stack: RunningStack, user: str) -> None:
        self.user = user
        self._api = stack.api
        self._token = stack.token_for(user)

    def headers(self, parent: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}", "traceparent": parent}

    def post(self, path: str, parent: str, body: dict[str, Any]) -> None:
        answer = httpx.post(self._api + path, headers=self.headers(parent), json=body, timeout=60)
        assert answer.status_code in (200, 202), answer.text

    def list(self, parent: str, **query: Any) -> dict[str, Any]:
        path = f"/v1/users/{self.user}/recommendations"
        headers = self.headers(parent)
        answer = httpx.get(self._api + path, headers=headers, params=query, timeout=60)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


def spans(collector: Collector, trace: str, services: set[str]) -> dict[str, TakenSpan]:
    """Wait for a trace's spans of some services, and return them by service."""
    assert wait_until(
        lambda: services <= {each.service for each in collector.spans(trace)}, 60, 0.2
    ), f"only {collector.spans(trace)}"
    return {each.service: each for each in collector.spans(trace)}


def play(title: str) -> dict[str, Any]:
    return {"artist": "Traced", "title": title, "played_at": int(time.time() * 1000) - 60_000}


def test_a_play_is_traced_from_its_client_to_the_list_that_reflects_it(
    stack: RunningStack, collector: Collector
) -> None:
    client = Client(stack, "tracy")
    # The API knows the token after this request; it is the client's choice not to trace it.
    untraced = secrets.token_hex(16)
    client.list(traceparent(untraced, sampled=False))

    trace = secrets.token_hex(16)
    parent = traceparent(trace)
    client.post("/v1/plays", parent, {"plays": [play("One Play")]})
    found = spans(collector, trace, {"api", *FOLDS})
    api = found["api"]
    assert (api.name, api.parent) == ("POST /v1/plays", parent.split("-")[2])
    assert api.attributes["http.response.status_code"] == 202
    plays = Topics(stack.settings.namespace).plays
    for service in FOLDS:
        fold = found[service]
        assert (fold.name, fold.parent) == (f"process {plays}", api.span), service
        assert fold.attributes["messaging.batch.message_count"] >= 1

    def reflected(query: dict[str, Any]) -> bool:
        asked = secrets.token_hex(16)
        body = client.list(traceparent(asked), **query)
        (shown,) = spans(collector, asked, {"api"}).values()
        assert shown.name == "GET /v1/users/{user}/recommendations"
        assert shown.attributes["segue.model.generation"] == body["generation"]
        assert shown.attributes["segue.model.offset"] == body["offset"]
        ((linked, span, attributes),) = shown.links
        assert (linked, span) == (trace, api.span)
        return bool(attributes["segue.learned"])

    # Taken by the server's fast path, and by the application.
    for query in ({}, {"explain": True}):
        assert wait_until(partial(reflected, query), 60)

    assert not collector.spans(untraced)
    for named in (b"tracy", b"Traced", b"One Play", client.headers("")["authorization"].encode()):
        assert not any(named in body for body in collector.bodies)


def test_scrobbles_and_feedback_are_traced_too(stack: RunningStack, collector: Collector) -> None:
    client = Client(stack, "tracy-two")
    listen = {
        "listened_at": int(time.time()) - 100,
        "track_metadata": {"artist_name": "Traced", "track_name": "Listen"},
    }
    scrobbled = secrets.token_hex(16)
    body = {"listen_type": "single", "payload": [listen]}
    client.post("/1/submit-listens", traceparent(scrobbled), body)
    assert spans(collector, scrobbled, {"api", *FOLDS})["api"].name == "POST /1/submit-listens"

    loved = secrets.token_hex(16)
    feedback = {"artist": "Traced", "title": "Listen", "kind": "love"}
    client.post("/v1/feedback", traceparent(loved), feedback)
    topic = Topics(stack.settings.namespace).feedback
    found = spans(collector, loved, {"api", "listeners", "history-sink", "lake-sink"})
    assert {found[each].name for each in found if each != "api"} == {f"process {topic}"}
