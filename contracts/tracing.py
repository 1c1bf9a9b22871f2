"""Which requests are traced, and how a trace travels with a play.

A trace follows one request through the processes (W3C Trace Context). The API decides before it
does any work whether it traces a request; :mod:`contracts.trace_export` then makes a span, which is
the only place that imports OpenTelemetry. The messages of a traced request carry its context in the
Kafka header ``traceparent``; a worker that folds such a message makes a span for its fold. Spans
hold routes, topics, partitions and offsets, and never a listener, a track, a token or an address.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

#: Name of the header of a request, and of a Kafka message.
HEADER = "traceparent"
_NAME = HEADER.encode()
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?").fullmatch
_SAMPLED = 1
#: Where the flags are.
_FLAGS = slice(53, 55)


class Context(NamedTuple):
    """A span of another process, as ``traceparent`` names it.

    Attributes
    ----------
    trace_id, span_id
        Of 128 and 64 bits; 0 for both: a trace that has yet to begin.
    sampled
        Whether its process records it.
    """

    trace_id: int
    span_id: int
    sampled: bool

    @classmethod
    def read(cls, value: bytes) -> Context | None:
        """Return what a header names; ``None`` if it does not follow the specification.

        Examples
        --------
        >>> Context.read(b"00-0000000000000000000000000000000a-000000000000000b-01")
        Context(trace_id=10, span_id=11, sampled=True)
        """
        found = _FORM(value)
        if found is None:
            return None
        version, trace, span, flags, more = found.groups()
        # Version 00 ends after the flags; later versions may add fields. ff is no version.
        if version == b"ff" or (version == b"00" and more is not None):
            return None
        trace_id, span_id = int(trace, 16), int(span, 16)
        if not (trace_id and span_id):
            return None
        return cls(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))

    def __bytes__(self) -> bytes:
        """Return the value of the header."""
        return b"00-%032x-%016x-%02x" % (self.trace_id, self.span_id, self.sampled)


#: The parent of a trace that begins here.
BEGIN = Context(0, 0, True)


class Sampler:
    """Decides which requests are traced.

    Parameters
    ----------
    share
        Probability with which a request without a ``traceparent`` is traced. A request with one is
        traced if the client records its own span.
    per_second
        Requests that are traced in a second at most, also if clients ask for more.
    clock
        Monotonic seconds.

    Examples
    --------
    Only clients that trace are traced here, at most one request a second:

    >>> sampler = Sampler(share=0.0, per_second=1, clock=lambda: 0.0)
    >>> asked = [(b"traceparent", bytes(Context(10, 11, sampled=True)))]
    >>> sampler.parent([]), sampler.parent(asked), sampler.parent(asked)
    (None, Context(trace_id=10, span_id=11, sampled=True), None)
    """

    def __init__(
        self, share: float, per_second: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._share = share
        self._most = per_second
        self._clock = clock
        self._second, self._begun = float("-inf"), 0

    def parent(self, headers: Iterable[tuple[bytes, bytes]]) -> Context | None:
        """Return the parent of a request's span; ``None``: the request is not traced.

        Parameters
        ----------
        headers
            Of the request, names in lower case.
        """
        found = None
        for name, value in headers:
            if name == _NAME:
                if value[_FLAGS] == b"00":  # the commonest, without reading the rest
                    return None
                found = Context.read(value)
                break
        if found is None:
            if random.random() >= self._share:  # noqa: S311  no secret depends on it
                return None
            found = BEGIN
        return found if found.sampled and self._has_room() else None

    def _has_room(self) -> bool:
        now = self._clock()
        if now - self._second >= 1.0:
            self._second, self._begun = now, 0
        self._begun += 1
        return self._begun <= self._most


def context_in(headers: Iterable[Any]) -> Context | None:
    """Return the context in the headers of a Kafka message, if its request is traced.

    Parameters
    ----------
    headers
        Pairs of a text and bytes or ``None``; the types of the clients' libraries are wider.
    """
    for name, value in headers:
        if name == HEADER and isinstance(value, bytes):
            found = Context.read(value)
            return found if found is not None and found.sampled else None
    return None
