"""A log, a store and dead letters in memory, in which any step of a commit can fail once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.decode import Batch, Rejected


class Killed(Exception):
    """The process ends here, as kill -9 would end it."""


@dataclass
class Steps:
    """The steps that happened, in order; one of them may fail, once.

    Attributes
    ----------
    fails
        Name of the step that fails.
    error
        What it raises.
    """

    fails: str = ""
    error: Exception = field(default_factory=Killed)
    done: list[str] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """Record a step, or fail if this is the one."""
        if name == self.fails:
            self.fails = ""
            raise self.error
        self.done.append(name)


class Message:
    """A message as confluent-kafka hands it over."""

    def __init__(self, partition: int, offset: int, value: bytes) -> None:
        self._place = partition, offset
        self._value = value

    def error(self) -> None:
        """Return no error: this is a message."""

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def key(self) -> bytes:
        return b"ada"

    def value(self) -> bytes:
        return self._value


class FakeLog:
    """Partitions as lists of values; :meth:`consumer` reads them as confluent-kafka would.

    Parameters
    ----------
    values
        ``partition -> values``, the first at offset 0.
    at_end
        Called when everything was read.
    """

    def __init__(self, values: Mapping[int, Sequence[bytes]], at_end: Callable[[], None]) -> None:
        self.values = values
        self.at_end = at_end

    def consumer(self, _config: dict[str, Any]) -> FakeLog.Consumer:
        """Stand in for the class ``confluent_kafka.Consumer``."""
        return FakeLog.Consumer(self)

    class Consumer:
        """Reads two messages a call, so a flush may hold several calls' messages."""

        def __init__(self, log: FakeLog) -> None:
            self.log = log
            self.next: dict[int, int] = {}
            self.closed = False

        def assign(self, places: list[Any]) -> None:
            self.next = {place.partition: place.offset for place in places}

        def consume(self, _count: int, _timeout: float) -> list[Message]:
            found: list[Message] = []
            for partition, offset in self.next.items():
                for value in self.log.values[partition][offset : offset + 2]:
                    found.append(Message(partition, self.next[partition], value))
                    self.next[partition] += 1
            if not found:
                self.log.at_end()
            return found

        def close(self) -> None:
            self.closed = True


class FakeStore:
    """A sink whose rows and fence move together, or not at all."""

    def __init__(self, steps: Steps, partitions: int) -> None:
        self.steps = steps
        self.rows: list[tuple[int, int]] = []
        self.fence = dict.fromkeys(range(partitions), 0)

    def positions(self) -> dict[int, int]:
        self.steps.reach("positions")
        return dict(self.fence)

    def write(self, batches: list[Batch[Any]]) -> int:
        self.steps.reach("before the transaction")
        rows = list(self.rows)
        for batch in batches:
            fresh = batch.after(self.fence[batch.partition] - 1)
            rows += [(batch.partition, offset) for offset, _ in fresh.messages]
        self.steps.reach("inside the transaction")
        self.rows = rows
        self.fence |= {b.partition: max(b.last + 1, self.fence[b.partition]) for b in batches}
        self.steps.reach("after the transaction")
        return len(rows)


class FakeLetters:
    """Dead letters by place, as their key makes them."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.found: dict[tuple[str, int, int], str] = {}

    def send(self, topic: str, partition: int, rejected: list[Rejected]) -> int:
        if rejected:
            self.steps.reach("before the letters")
            for record, error in rejected:
                self.found[str(topic), partition, record.offset] = error.reason
            self.steps.reach("after the letters")
        return len(rejected)


class FakeWatch:
    """A log that stays the one it was, unless its step fails."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def check(self) -> None:
        self.steps.reach("the log is the same")
