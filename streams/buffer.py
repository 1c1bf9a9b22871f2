"""What an agent has received and the fold has not applied yet.

While one batch is being applied the next one grows, so batches are as large as the load. Here is
also where it shows when a message is missing: Faust hands over everything or this process ends.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from faust.types import TP

from streams.decode import Record
from streams.errors import PositionLost

_MOST_MESSAGES = 4000
_MOST_BYTES = 16 * 1024 * 1024
# Under load a batch waits this long to grow, seconds; a lone message does not wait at all.
_BUSY, _LINGER = 0.02, 0.005


class Buffer:
    """Messages by partition, in log order, without holes.

    Attributes
    ----------
    next
        ``partition -> offset`` that must come next.
    """

    def __init__(self) -> None:
        self.next: dict[TP, int] = {}
        self._records: dict[TP, list[Record]] = {}
        self._messages = self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._lost: PositionLost | None = None
        self._taken = 0.0

    def seek(self, positions: dict[TP, int]) -> None:
        """Resume at these offsets: drop the buffered messages, they will be delivered again."""
        self._records.clear()
        self._messages = self._bytes = 0
        self._room.set()
        self.next = dict(positions)

    async def fill(self, stream: Any) -> None:
        """Take runs from a Faust stream for as long as it lasts; the body of an agent."""
        stream.enable_acks = False
        async for _ in stream:
            message = stream.current_event.message
            self.add(message.tp, message.value.records)
            await self._room.wait()

    def add(self, tp: TP, run: list[Record]) -> None:
        """Take a run; drop repeated messages. :meth:`take` raises the error for a gap."""
        expected = self.next.get(tp)
        if expected is None:
            return  # not ours any more
        if run[0].offset < expected:  # delivered again
            run = [record for record in run if record.offset >= expected]
        if not run:
            return
        if run[0].offset != expected or run[-1].offset - expected + 1 != len(run):
            self._lost = PositionLost(
                f"{tp}: expected offset {expected}, got {len(run)} messages "
                f"from {run[0].offset} to {run[-1].offset}"
            )
            self._some.set()
            return
        self.next[tp] = run[-1].offset + 1
        self._records.setdefault(tp, []).extend(run)
        self._messages += len(run)
        self._bytes += sum(len(record.value or b"") for record in run)
        if self._messages >= _MOST_MESSAGES or self._bytes >= _MOST_BYTES:
            self._room.clear()
        self._some.set()

    async def take(self) -> dict[TP, list[Record]]:
        """Wait for messages and return all of them.

        Raises
        ------
        PositionLost
            Messages are missing.
        """
        if time.monotonic() - self._taken < _BUSY:
            await asyncio.sleep(_LINGER)
        while not self._records and self._lost is None:
            self._some.clear()
            await self._some.wait()
        if self._lost is not None:
            raise self._lost
        self._taken = time.monotonic()
        records, self._records = self._records, {}
        self._messages = self._bytes = 0
        self._room.set()
        return records
