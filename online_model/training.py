"""Teach the ranker from one play: softmax cross-entropy over the candidates, steps by Adagrad.

Gradients are exact for the candidates whose chance exceeds a small bound; the others would move
the weights by less than rounding (Duchi, Hazan and Singer 2011 for Adagrad).
"""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.features import CONTEXTS, E_COUNT, FEATURES, HIDDEN
from online_model.scratch import Scratch
from online_model.state import State

LINEAR_RATE = 0.1
HIDDEN_RATE = 0.05
_NEGLIGIBLE = 1e-4
_F = np.float32


@inner
def teach(state: State, scratch: Scratch, task: int, situation: int, slot: int) -> bool:
    """Move the ranker of a task towards the candidate in ``slot``, which was played.

    ``scratch`` holds the features, scores and context of this moment. For discovery (task 1)
    tracks the listener had are no alternatives. Returns False when there is no alternative.
    """
    end = scratch.tally[0]
    scores = scratch.scores[task]
    highest = scores[slot]
    for c in range(1, end):
        if (task == 0 or scratch.evidence[c, E_COUNT] == 0) and scores[c] > highest:
            highest = scores[c]
    total = 0.0
    for c in range(1, end):
        if task == 1 and scratch.evidence[c, E_COUNT] > 0:
            scores[c] = 0.0
            continue
        scores[c] = np.exp(scores[c] - highest)
        total += scores[c]
    if not total > 0.0:
        return False
    linear, hidden, output = scratch.linear_step, scratch.hidden_step, scratch.output_step
    linear[0, :] = 0.0
    hidden[:, :] = 0.0
    output[:, :] = 0.0
    x = scratch.features
    back = scratch.units_of
    for c in range(1, end):
        # Gradient of the loss by this candidate's score: its chance, less one if it was played.
        g = scores[c] / total
        if c == slot:
            g -= 1.0
        elif g < _NEGLIGIBLE:
            continue
        g = _F(g)
        for h in range(HIDDEN):
            u = scratch.units[task, h, c]
            if u > 0:
                output[1, h] += g * u
                back[h] = g * state.output[task, 1, h]
                output[0, h] += back[h]
            else:
                back[h] = 0.0
        for f in range(FEATURES):
            value = x[f, c]
            linear[0, f] += g * value
            if value != 0.0:
                for h in range(HIDDEN):
                    hidden[f, h] += back[h] * value
        for q in range(CONTEXTS):
            value = scratch.context[q]
            for h in range(HIDDEN):
                hidden[FEATURES + q, h] += back[h] * value
    for f in range(FEATURES):
        d = linear[0, f]
        state.linear_squares[task, situation, f] += d * d
        state.linear[task, situation, f] -= _F(
            LINEAR_RATE * d / np.sqrt(state.linear_squares[task, situation, f] + 1.0)
        )
    for f in range(FEATURES + CONTEXTS):
        for h in range(HIDDEN):
            d = hidden[f, h]
            state.hidden_squares[task, f, h] += d * d
            state.hidden[task, f, h] -= _F(
                HIDDEN_RATE * d / np.sqrt(state.hidden_squares[task, f, h] + 1.0)
            )
    for side in range(2):
        for h in range(HIDDEN):
            d = output[side, h]
            state.output_squares[task, side, h] += d * d
            state.output[task, side, h] -= _F(
                HIDDEN_RATE * d / np.sqrt(state.output_squares[task, side, h] + 1.0)
            )
    return True
