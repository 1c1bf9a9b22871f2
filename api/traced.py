"""Spans of requests (:mod:`contracts.tracing`), and which list reflects which traced play."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from confluent_kafka import Message

from api.serving.live import LiveModel
from contracts.ids import user_key
from contracts.tracing import Context

if TYPE_CHECKING:
    from contracts.trace_export import Span

#: Traced plays that one process remembers.
_MOST = 256
_SPAN: ContextVar[Span | None] = ContextVar("span", default=None)


def current_span() -> Span | None:
    """Return the span of the request that this task serves, ``None`` if it is not traced."""
    return _SPAN.get()


def current() -> Context | None:
    """Return what messages of the request that this task serves carry."""
    span = _SPAN.get()
    return None if span is None else span.context


@contextmanager
def serving(span: Span) -> Iterator[None]:
    """Serve a traced request inside this block; its span ends with it."""
    token = _SPAN.set(span)
    try:
        yield
    finally:
        _SPAN.reset(token)
        span.end()


def describe(span: Span, method: str, route: str, status: int) -> None:
    """Name the span of a request by its route, with the status of the answer."""
    span.rename(f"{method} {route}")
    span.note(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    )
    if status >= 500:
        span.fail(f"status {status}")


def finish(span: Span, method: str, route: str, status: int) -> None:
    """Describe and end the span of a request."""
    describe(span, method, route, status)
    span.end()


class _List(msgspec.Struct):
    user: str
    generation: int
    offset: int
    degraded: bool


class _Play(NamedTuple):
    context: Context
    partition: int
    offset: int


_LISTS = msgspec.json.Decoder(_List)


class TracedLists:
    """Links the list of a listener to the newest traced play that this process took from them.

    Parameters
    ----------
    topic
        Of the plays.
    log_id
        Returns the identity of that topic's log; empty: unknown.
    model
        Knows which plays it has learned.
    """

    def __init__(self, topic: str, log_id: Callable[[], str], model: LiveModel) -> None:
        self._topic = topic
        self._log_id = log_id
        self._model = model
        self._plays: OrderedDict[int, _Play] = OrderedDict()  # by key of the listener

    def saw(self, context: Context, message: Message) -> None:
        """Take note that the broker has acknowledged the last message of a traced request."""
        key, partition, offset = message.key(), message.partition(), message.offset()
        if message.topic() != self._topic or key is None or partition is None or offset is None:
            return
        user = user_key(key if isinstance(key, str) else key.decode())
        self._plays[user] = _Play(context, partition, offset)
        self._plays.move_to_end(user)
        if len(self._plays) > _MOST:
            self._plays.popitem(last=False)

    def describe(self, span: Span, status: int, body: bytes) -> None:
        """Note the model of a list, and link to the listener's play if there is one.

        The attribute ``segue.learned`` of the link: whether the model had learned the play.
        """
        if status != 200:
            return
        made = _LISTS.decode(body)
        span.note(
            {
                "segue.model.generation": made.generation,
                "segue.model.offset": made.offset,
                "segue.degraded": made.degraded,
            }
        )
        play = self._plays.get(user_key(made.user))
        if play is not None:
            reader = self._model.reader
            offsets = {} if reader is None else reader.offsets
            learned = offsets.get((self._log_id(), play.partition), -1) >= play.offset
            span.link(play.context, {"segue.learned": learned})
