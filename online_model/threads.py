"""Learn the plays of one model in several threads, each with listeners of its own.

The kernels release the interpreter lock, so threads run on several cores. All threads write the
same tables without locks: two that add to one row in the same nanoseconds can lose one of the
additions. So two runs do not give the same model; how much that changes lists was measured
(docs/adr/0061-the-learner-past-one-core.md). The rest is exact: each listener's window belongs to
one thread, rows are given out under a lock, and counts, sums and the order of popular tracks are
the thread's own until all have ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from online_model.hashing import find_all
from online_model.learning import learn_batch, meet_listeners, origin_may_move
from online_model.ranking import LearnStats
from online_model.recommender import Recommender
from online_model.scratch import Scratch, new_scratch
from online_model.state import (
    CLOCK,
    DUPLICATES,
    FORTNIGHT,
    FREE_LISTENERS,
    FREE_TRACKS,
    LATE,
    LISTENERS,
    PLAYS,
    POPULAR,
    SKIPS,
    TOP,
    TOP_TRACKS,
    TRACKS,
    TRIAL_ROWS,
    TRIALS,
    UPDATES,
    Array,
    State,
)
from online_model.tracks import as_keys

_SUMS = [PLAYS, DUPLICATES, LATE, SKIPS, TRIALS, UPDATES]
#: Fewer plays are learned by one thread: to wake another takes as long as to learn two plays.
_LEAST = 8


class LearningThreads:
    """Learns plays in up to ``threads`` threads; with one thread as the model itself does.

    Nothing else may write the model during a call.

    Parameters
    ----------
    model
        A model that is not read-only.
    threads
        At least 1.
    """

    def __init__(self, model: Recommender, threads: int) -> None:
        self.model = model
        self._scratches = [model.scratch]
        self._scratches += [new_scratch(model.settings) for _ in range(threads - 1)]
        self._trials = [np.zeros_like(model.state.trials) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._meeting = threading.Lock()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def learn_plays(
        self,
        users: npt.NDArray[np.uint64],
        tracks: npt.NDArray[np.uint64],
        seconds: npt.NDArray[np.int64],
        ratios: npt.NDArray[np.uint8],
        *,
        meet: Callable[[int], object] | None = None,
    ) -> LearnStats:
        """Learn plays; parameters and result are those of :meth:`online_model.Model.learn_plays`.

        A listener's plays are learned in their order. ``meet`` is called by one thread at a time.
        """
        model, u, t = self.model, as_keys(users), as_keys(tracks)
        s = np.ascontiguousarray(seconds, np.int64)
        r = np.ascontiguousarray(ratios, np.uint8)
        if self._pool is None or len(u) < _LEAST or not self._can_share(u, t, s):
            return model.learn_plays(u, t, s, r, meet=meet)
        threads = len(self._scratches)
        before = model.state.counters.copy()
        sums = model.state.totals.copy()
        meet_listeners(model.state, u)
        # The low bits of a key are those of a hash, so listeners spread evenly.
        shares = [np.flatnonzero(u % np.uint64(threads) == n) for n in range(threads)]
        states = [
            model.state._replace(
                counters=before.copy(),
                totals=sums.copy(),
                top=model.state.top.copy(),
                trials=self._trials[n],
            )
            for n in range(threads)
        ]

        def learn(n: int) -> None:
            part = shares[n]
            self._learn(
                states[n], self._scratches[n], part, (u[part], t[part], s[part], r[part]), meet
            )

        others = [self._pool.submit(learn, n) for n in range(1, threads) if len(shares[n])]
        try:
            learn(0)
        finally:
            for other in others:
                other.exception()  # none may still write when this returns
        for other in others:
            other.result()
        for state in states:
            _add(model.state, state, before, sums)
        _order_popular(model.state, states)
        learned, duplicates, late = (
            model.state.counters[[PLAYS, DUPLICATES, LATE]] - before[[PLAYS, DUPLICATES, LATE]]
        ).tolist()
        return LearnStats(learned, duplicates, late)

    def _can_share(self, users: Array, tracks: Array, seconds: Array) -> bool:
        """Whether no row must be freed and no origin moved: both sweep whole tables."""
        state = self.model.state
        counters = state.counters
        tracks_left = len(state.track_key) - counters[TRACKS] + counters[FREE_TRACKS]
        listeners_left = len(state.listener_key) - counters[LISTENERS] + counters[FREE_LISTENERS]
        known = np.empty(len(users), np.int32)
        find_all(state.listener_keys, state.listener_rows, users, len(state.listener_key), known)
        return bool(
            np.count_nonzero(known < 0) <= listeners_left
            and np.count_nonzero(self.model.lookup(tracks) < 0) <= tracks_left
            and not origin_may_move(state, int(seconds.max()))
        )

    def _learn(
        self,
        state: State,
        scratch: Scratch,
        part: npt.NDArray[np.int64],
        plays: tuple[Array, ...],
        meet: Callable[[int], object] | None,
    ) -> None:
        """Learn one thread's plays, whose positions in the call are ``part``."""
        users, tracks, seconds, ratios = plays
        kinds = np.zeros(len(part), np.uint8)
        done = 0
        while done < len(part):
            done = learn_batch(state, scratch, users, tracks, seconds, ratios, done, 0, kinds)
            if done < len(part):
                with self._meeting:
                    if meet is not None and self.model.lookup(tracks[done : done + 1])[0] < 0:
                        meet(int(part[done]))
                    self.model.register_track(int(tracks[done]))


def _add(state: State, own: State, before: Array, sums: Array) -> None:
    """Take over what a thread counted, summed and tried."""
    first = int(before[TRIALS])
    made = int(own.counters[TRIALS]) - first
    kept = np.arange(max(0, made - TRIAL_ROWS), made)
    state.trials[(int(state.counters[TRIALS]) + kept) % TRIAL_ROWS] = own.trials[
        (first + kept) % TRIAL_ROWS
    ]
    state.counters[_SUMS] += own.counters[_SUMS] - before[_SUMS]
    state.counters[CLOCK] = max(state.counters[CLOCK], own.counters[CLOCK])
    state.totals[:] += own.totals - sums


def _order_popular(state: State, states: list[State]) -> None:
    """Order the tracks that any thread counts among the most popular."""
    found = np.unique(np.concatenate([own.top[: own.counters[TOP]] for own in states]))
    value = state.facts[found, POPULAR + FORTNIGHT]
    best = found[np.argsort(-value, kind="stable")[:TOP_TRACKS]]
    state.top[: len(best)] = best
    state.counters[TOP] = len(best)
