"""Sends what waits in the queues, a batch of one relay at a time.

A play leaves the queue after the service has accepted it. A worker killed in between sends it again
with the same payload, and both services count it once.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from streams.relay.queue import DueRelay, RelayStore, Waiting
from streams.relay.service import Answer, BatchRefused, SecretRefused, Service, TryLater
from streams.worker import Stopped, Worker

T = TypeVar("T")
log = logging.getLogger(__name__)
#: Seconds between two looks at the queues, and between two clean-ups.
_PAUSE, _PRUNE_EVERY = 1.0, 3600.0
#: Pauses of a relay after failures, seconds: they double, with a random part.
FIRST_WAIT, LONGEST_WAIT = 2.0, 1800.0


@dataclass(slots=True)
class Sender:
    """The loop.

    Attributes
    ----------
    services
        Name -> service; relays to others wait and say so.
    hold_seconds
        Age of a play at which it is sent.
    """

    worker: Worker
    store: RelayStore
    services: Mapping[str, Service]
    hold_seconds: float
    pause: float = _PAUSE

    def run(self) -> None:
        """Send until the worker has to stop."""
        stopping = self.worker.stopping
        pruned = float("-inf")
        try:
            while not stopping.wait(self.pause):
                if not self._patiently(self.store.is_sender):
                    continue
                if time.monotonic() - pruned > _PRUNE_EVERY:
                    self._patiently(self.store.prune)
                    pruned = time.monotonic()
                self.round()
        except Stopped:
            log.info("stopped early; plays that are not recorded as sent are sent again")

    def round(self) -> None:
        """Let every relay that is due send one batch; a service that is down is asked once."""
        down: set[str] = set()
        for relay in self._patiently(lambda: self.store.due(self.hold_seconds)):
            if self.worker.stopping.is_set():
                return
            if relay.service not in down and not self._serve(relay):
                down.add(relay.service)

    def _serve(self, relay: DueRelay) -> bool:
        """Send one batch; return False where the service as a whole is down."""
        service = self.services.get(relay.service)
        if service is None:
            self._postpone(relay, TryLater("no API key for this service: see docs/settings.md", 60))
            return True
        try:
            if not relay.account:
                account = service.account(relay.secret)
                self._patiently(lambda: self.store.confirm(relay, account))
            waiting = self._patiently(
                lambda: self.store.waiting(relay, self.hold_seconds, service.most)
            )
            self._send(relay, service, self._reported_once(relay, waiting))
        except TryLater as later:
            self._postpone(relay, later)
            return not later.service_down
        except SecretRefused as error:
            reason = str(error)
            log.warning(
                "a listener's relay to %s is stopped, its credentials were refused: %s",
                relay.service,
                reason,
            )
            self._patiently(lambda: self.store.refuse(relay, reason))
        except BatchRefused as error:  # of a call without plays
            self._postpone(relay, TryLater(str(error)))
        return True

    def _reported_once(self, relay: DueRelay, waiting: list[Waiting]) -> list[Waiting]:
        """Return one report of each play; the others are written down as merged."""
        heads: set[str] = set()
        first: list[Waiting] = []
        others: list[Waiting] = []
        for each in waiting:
            (others if each.told or each.head in heads else first).append(each)
            heads.add(each.head)
        if others:
            events = [each.event_id for each in others]
            self._patiently(lambda: self.store.note(relay, "merged", events))
        return first

    def _send(self, relay: DueRelay, service: Service, plays: list[Waiting]) -> None:
        """Send plays; of a batch that is refused, find out which plays are the reason."""
        if not plays:
            return
        if self.worker.stopping.is_set():  # a refused batch is halved many times
            raise Stopped
        try:
            answer = service.send(relay.secret, [each.play for each in plays])
        except BatchRefused as error:
            if len(plays) == 1:
                self._refuse(relay, plays[0], str(error))
                return
            half = len(plays) // 2
            self._send(relay, service, plays[:half])
            self._send(relay, service, plays[half:])
            return
        for index, why in answer.refused.items():
            self._refuse(relay, plays[index], why)
        self._note_sent(relay, plays, answer)

    def _note_sent(self, relay: DueRelay, plays: list[Waiting], answer: Answer) -> None:
        arrived = [each.event_id for i, each in enumerate(plays) if i not in answer.refused]
        self._patiently(lambda: self.store.sent(relay, arrived, answer.wait))
        self.worker.status.add(relayed=len(arrived))

    def _refuse(self, relay: DueRelay, each: Waiting, why: str) -> None:
        log.warning("%s refused a play; it is not sent again: %s", relay.service, why)
        self._patiently(lambda: self.store.note(relay, "refused", [each.event_id], why))
        self.worker.status.add(relay_refused=1)

    def _postpone(self, relay: DueRelay, later: TryLater) -> None:
        wait = later.seconds if later.seconds is not None else _backoff(relay.failures)
        self._patiently(lambda: self.store.postpone(relay, str(later), wait))
        self.worker.status.add(relay_retries=1)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return self.worker.patiently(attempt, "relay queues")


def _backoff(failures: int) -> float:
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311
