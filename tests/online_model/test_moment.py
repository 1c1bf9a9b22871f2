"""The first stage weighs the same evidence otherwise at another moment."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import Recommender
from online_model.features import ANY, BIAS, CONTEXT_NAMES, FEATURE_NAMES, NEW
from online_model.scoring import score, score_first, weigh_moment
from online_model.scratch import END, OWN_END, Scratch
from online_model.state import Array, State
from online_model.training import teach

from .compiling import compiled
from .plays import SMALL

NEXT, RECENCY = FEATURE_NAMES.index("next"), FEATURE_NAMES.index("recency")
REPEATS = CONTEXT_NAMES.index("repeat_share")


@compiled
def lessons(
    state: State, scratch: Scratch, task: int, contexts: Array, played: Array, firsts: Array
) -> None:
    """Teach one play per row of ``contexts``, then score at the moments of the first rows."""
    for k in range(contexts.shape[0]):
        for c in range(contexts.shape[1]):
            scratch.context[c] = contexts[k, c]
        score(state, scratch, task)
        teach(state, scratch, task, played[k])
    for k in range(firsts.shape[0]):
        for c in range(contexts.shape[1]):
            scratch.context[c] = contexts[k, c]
        weigh_moment(state, scratch, task)
        score_first(scratch)
        for slot in range(firsts.shape[1]):
            firsts[k, slot] = scratch.first[slot + 1]


@pytest.mark.parametrize("task", [ANY, NEW])
def test_the_moment_decides_which_of_two_sources_counts(task: int) -> None:
    """Slot 1 follows the last track, slot 2 was played recently: repeaters play the second."""
    model = Recommender(SMALL)
    scratch = model.scratch
    scratch.board.tally[END], scratch.board.tally[OWN_END] = 3, 1
    scratch.features[:, :3] = 0.0
    scratch.features[NEXT, 1] = scratch.features[RECENCY, 2] = 1.0
    contexts = np.zeros((400, len(CONTEXT_NAMES)), np.float32)
    contexts[:, BIAS] = 1.0
    contexts[1::2, REPEATS] = 1.0
    played = np.where(contexts[:, REPEATS] > 0.0, 2, 1)
    firsts = np.zeros((2, 2), np.float32)
    lessons(model.state, scratch, task, contexts, played, firsts)
    explorer, repeater = firsts
    assert explorer[0] > explorer[1] + 0.5
    assert repeater[1] > repeater[0] + 0.5
    other = NEW if task == ANY else ANY
    assert not model.state.linear_squares[other].any(), "the other task learned nothing"
