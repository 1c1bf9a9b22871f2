"""Which requests are traced; spans on their way to a collector, and without one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from contracts.trace_export import MOST_WAITING, Traces
from contracts.traces import open_traces
from contracts.tracing import BEGIN, HEADER, Context, Sampler, context_in
from infra.stack.ports import free_ports
from tests.otlp import Collector

SAMPLED = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SAMPLED[:-2] + b"00"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_a_context_survives_its_header(trace: int, span: int, sampled: bool) -> None:
    context = Context(trace, span, sampled)
    assert Context.read(bytes(context)) == context


@given(st.binary(max_size=80))
def test_any_header_is_a_context_or_none(value: bytes) -> None:
    found = Context.read(value)
    assert found is None or (found.trace_id and found.span_id)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        SAMPLED[:-1],
        SAMPLED.upper(),
        SAMPLED + b"-more",  # version 00 ends after the flags
        b"ff" + SAMPLED[2:],
        b"00-" + b"0" * 32 + SAMPLED[35:],
        SAMPLED[:36] + b"0" * 16 + b"-01",
    ],
)
def test_what_breaks_the_specification_is_no_context(value: bytes) -> None:
    assert Context.read(value) is None


def test_a_later_version_may_have_more_fields() -> None:
    assert Context.read(b"01" + SAMPLED[2:] + b"-more") == Context.read(SAMPLED)


def test_the_client_decides_and_the_share_decides_for_the_others() -> None:
    never, always = Sampler(0.0, 1000), Sampler(1.0, 1000)
    for sampler in (never, always):
        assert sampler.parent([(b"host", b"h"), (b"traceparent", SAMPLED)]) == Context.read(SAMPLED)
        assert sampler.parent([(b"traceparent", UNSAMPLED)]) is None
    for headers in ([], [(b"traceparent", b"nonsense")]):
        assert never.parent(headers) is None
        assert always.parent(headers) is BEGIN


def test_clients_cannot_have_more_traced_than_the_limit() -> None:
    now = 100.0
    sampler = Sampler(0.0, 3, lambda: now)
    headers = [(b"traceparent", SAMPLED)]
    assert [sampler.parent(headers) is not None for _ in range(5)] == [True] * 3 + [False] * 2
    now += 1.0
    assert sampler.parent(headers) is not None


def test_a_message_names_its_span_if_that_is_recorded() -> None:
    assert context_in([("other", b"x"), (HEADER, SAMPLED)]) == Context.read(SAMPLED)
    for headers in ([], [(HEADER, UNSAMPLED)], [(HEADER, None)], [(HEADER, b"?")]):
        assert context_in(headers) is None


def test_spans_reach_the_collector(collector: Collector) -> None:
    counted: Counter[str] = Counter()
    traces = Traces(
        Settings(traces_url=collector.url, namespace="ns"),
        "learner",
        lambda outcome, count: counted.update({outcome: count}),
    )
    first, second = Context(1, 2, True), Context(3, 4, True)
    span = traces.fold("ns.plays", [first, second], 7, {0: 41})
    assert span is not None
    span.end()
    assert traces.fold("ns.plays", [], 7, {0: 41}) is None
    request = traces.request([(b"traceparent", SAMPLED)])
    assert request is not None
    request.rename("GET /x")
    request.link(first, {"segue.learned": True})
    request.fail("status 500")
    request.end()
    traces.close()
    assert counted == {"exported": 2}
    fold, answered = collector.spans()
    assert (fold.service, fold.name, fold.trace) == ("learner", "process ns.plays", f"{1:032x}")
    assert (fold.parent, fold.span) == (f"{2:016x}", f"{span.context.span_id:016x}")
    assert fold.links == [(f"{3:032x}", f"{4:016x}", {})]
    assert fold.attributes["messaging.batch.message_count"] == 7
    assert fold.attributes["segue.offsets"] == ["0:41"]
    assert fold.resource["service.namespace"] == "ns"
    assert (answered.name, answered.trace, answered.parent) == ("GET /x", TRACE, SPAN)
    assert answered.links == [(f"{1:032x}", f"{2:016x}", {"segue.learned": True})]


def test_without_a_collector_spans_are_dropped_and_counted() -> None:
    counted: Counter[str] = Counter()
    url = f"http://127.0.0.1:{free_ports(1)[0]}/v1/traces"
    traces = Traces(
        Settings(traces_url=url, traces_share=1.0, traces_per_second=1_000_000),
        "api",
        lambda outcome, count: counted.update({outcome: count}),
    )
    made = MOST_WAITING + 100
    for _ in range(made):
        span = traces.request([])
        assert span is not None
        span.end()
    traces.close()
    assert counted == {"dropped": made}


def test_nothing_is_imported_unless_an_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_traces(Settings(), "api", lambda *_: None) is None
    for url in ("collector:4318", "http://", "grpc://collector:4317"):
        with pytest.raises(ConfigurationError, match="SEGUE_TRACES_URL"):
            open_traces(Settings(traces_url=url), "api", lambda *_: None)
    monkeypatch.delitem(sys.modules, "contracts.trace_export")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"segue\[tracing\]"):
        open_traces(Settings(traces_url="http://here"), "api", lambda *_: None)
