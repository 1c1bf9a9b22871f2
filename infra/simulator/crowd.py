"""Many simulated listeners on one clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from random import Random

from infra.simulator.catalogue import Catalogue
from infra.simulator.listener import Heard, Listener
from infra.simulator.lists import Offered

#: Mean seconds between two plays of one listener, sessions and gaps together; measured over
#: 300 listeners and a week (a test holds it to their behaviour).
SECONDS_PER_PLAY = 324.0
#: More listeners are not made; beyond this rate they live faster instead.
MAX_LISTENERS = 5_000
MIN_LISTENERS = 20
#: How much faster than real time the first listener lives once the pages are up: about two
#: plays a minute. The demo links to this listener's pages, where something must happen.
HURRY = 8.0


class Crowd:
    """Listeners who together play at a given rate.

    Parameters
    ----------
    catalogue
        What there is to hear.
    seed
        Who the listeners are.
    rate
        Plays per second of all together.
    start
        When the clock begins, milliseconds since the epoch.
    run
        Which run of the same people this is: what they do differs, who they are does not.
    """

    def __init__(
        self, catalogue: Catalogue, seed: int, rate: float, start: int, run: int = 0
    ) -> None:
        wanted = rate * SECONDS_PER_PLAY
        count = round(min(MAX_LISTENERS, max(MIN_LISTENERS, wanted)))
        #: Where listeners get lists; nowhere at first.
        self.lists: Callable[[str], Offered | None] | None = None
        #: How much faster than real time they live.
        self.speed = wanted / count
        self._hurry = False
        self._rng = Random(f"crowd:{seed}:{run}")  # noqa: S311
        self.listeners = [Listener(seed, number, catalogue) for number in range(count)]
        # (end of the play, number, play): a play is known when it has ended, as with a scrobbler.
        self._pending: list[tuple[int, int, Heard]] = []
        self._next: list[int] = []
        for number in range(count):
            begin = start + int(1000 * self._rng.random() * SECONDS_PER_PLAY / self.speed)
            self._next.append(begin)
            self._play(number, begin)
        heapq.heapify(self._pending)

    def _play(self, number: int, begin: int) -> None:
        heard, following = self.listeners[number].listen(begin, self._rng, self.lists)
        speed = max(self.speed, HURRY) if self._hurry and number == 0 else self.speed
        self._next[number] = begin + int((following - begin) / speed)
        end = begin + int(heard.ms_played / speed)
        heapq.heappush(self._pending, (end, number, heard))

    def hurry_first(self, now: int) -> None:
        """Have the first listener play from `now` on without a pause, and faster than the others.

        Parameters
        ----------
        now
            Milliseconds since the epoch.
        """
        self._hurry = True
        self.listeners[0].stay()
        self._pending = [play for play in self._pending if play[1] != 0]
        heapq.heapify(self._pending)
        self._play(0, now)

    def until(self, now: int) -> Iterator[Heard]:
        """Yield, in the order in which they end, the plays that have ended by `now`."""
        while self._pending and self._pending[0][0] <= now:
            _, number, heard = heapq.heappop(self._pending)
            yield heard
            self._play(number, self._next[number])
