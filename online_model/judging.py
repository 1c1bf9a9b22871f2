"""Where the true next track stands among all tracks, after a list has been composed."""

from __future__ import annotations

import numpy as np

from online_model._numba import compiled
from online_model.features import NEW
from online_model.scoring import score
from online_model.scratch import END, Scratch, find_slot
from online_model.state import FORTNIGHT, POPULAR, TRACKS, Array, State


@compiled
def judge(
    state: State,
    scratch: Scratch,
    truth: int,
    had: Array,
    stamp: int,
    ranks: Array,
    shown: Array,
) -> None:
    """Fill ``ranks`` with the position of the true track among any tracks, and among new ones.

    Call right after a list was composed: the candidates and their features are in ``scratch``.
    Every track that is no candidate ranks below all candidates, by popularity. Ties count
    against the model.

    Parameters
    ----------
    truth
        Row of the track that was played, -1 if nobody played it before (rank 2**31 - 1).
    had
        i64, per track row: ``stamp`` where this listener had the track before.
    ranks
        i64 [2], filled.
    shown
        i32 [2, 10], filled with the rows of both lists' tops, -1 where shorter.
    """
    end = scratch.board.tally[END]
    score(state, scratch, NEW)
    for task in range(2):
        scores = scratch.scores[task]
        _tops(scratch, scores, had, stamp, task, shown[task])
        if truth < 0:
            ranks[task] = 2**31 - 1
            continue
        above = 1
        slot = find_slot(scratch.board, truth)
        if slot >= 0:
            for c in range(1, end):
                if c != slot and scores[c] >= scores[slot]:
                    above += task == 0 or had[scratch.board.candidates[c]] != stamp
        else:
            for c in range(1, end):
                above += task == 0 or had[scratch.board.candidates[c]] != stamp
            # Deep ranks count as misses wherever they are: only a short list needs the exact one.
            if above <= 100:
                value = state.facts[truth, POPULAR + FORTNIGHT]
                for track in range(min(state.counters[TRACKS], had.shape[0])):
                    if (
                        track != truth
                        and find_slot(scratch.board, track) < 0
                        and state.facts[track, POPULAR + FORTNIGHT] >= value
                    ):
                        above += task == 0 or had[track] != stamp
        ranks[task] = above


@compiled
def _tops(scratch: Scratch, scores: Array, had: Array, stamp: int, task: int, shown: Array) -> None:
    size = shown.shape[0]
    best = np.zeros(size, np.float32)
    n = 0
    for c in range(1, scratch.board.tally[END]):
        if task == 1 and had[scratch.board.candidates[c]] == stamp:
            continue
        at = n
        while at > 0 and best[at - 1] < scores[c]:
            at -= 1
        if at == size:
            continue
        n = min(n + 1, size)
        for k in range(n - 1, at, -1):
            best[k] = best[k - 1]
            shown[k] = shown[k - 1]
        best[at] = scores[c]
        shown[at] = scratch.board.candidates[c]
    for k in range(n, size):
        shown[k] = -1
