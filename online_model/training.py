"""Teach the ranker from one play: softmax cross-entropy over the candidates, steps by Adagrad.

Gradients run over all alternatives: leaving out the many small chances would bias the weights
towards common properties of unlikely tracks. Adagrad is by Duchi, Hazan and Singer (2011).
"""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.features import BIAS, CONTEXTS, FEATURES, HIDDEN, INPUTS
from online_model.scratch import END, OWN_END, SHORTLISTED, Scratch
from online_model.state import HIDDEN_RATE, LINEAR_RATE, Array, State

_NEGLIGIBLE = 1e-3
#: Share of the rate at which the first stage learns what a moment changes. At the full rate all
#: rows together step too far while a model is young.
_MOMENT = 0.4
_F = np.float32


@inner
def teach(state: State, scratch: Scratch, task: int, slot: int) -> None:
    """Move both stages of a task towards the candidate in ``slot``, which was played.

    Call after ``score`` of the same task. For discovery (task 1) tracks the listener had are no
    alternatives. The second stage learns only where the first shortlisted the played track.
    """
    _teach_second(state, scratch, task, slot)
    _teach_first(state, scratch, task, slot)


@inner
def _teach_first(state: State, scratch: Scratch, task: int, slot: int) -> None:
    end = scratch.board.tally[END]
    start = scratch.board.tally[OWN_END] if task == 1 else 1
    first, chance = scratch.first, scratch.order
    highest = first[slot]
    for c in range(start, end):
        highest = max(highest, first[c])
    total = _F(0.0)
    for c in range(start, end):
        chance[c] = 0.0
        if first[c] > highest - 20.0:
            chance[c] = np.exp(first[c] - highest)
            total += chance[c]
    scale = _F(1.0 / total)
    weights, squares = state.linear[task], state.linear_squares[task]
    gradient = scratch.linear_step
    whole = _F(state.settings[LINEAR_RATE])
    slow = _F(_MOMENT * state.settings[LINEAR_RATE])
    for f in range(FEATURES):
        x = scratch.features[f]
        expected = _F(0.0)
        for c in range(start, end):
            expected += chance[c] * x[c]
        # Gradient of the loss by a weight: the feature expected, less the feature that was played.
        gradient[f] = expected * scale - x[slot]
    for k in range(CONTEXTS):
        by = scratch.context[k]
        rate = whole if k == BIAS else slow
        for f in range(FEATURES):
            step = gradient[f] * by
            squares[k, f] += step * step
            weights[k, f] -= rate * step / np.sqrt(squares[k, f] + _F(1.0))


@inner
def _teach_second(state: State, scratch: Scratch, task: int, slot: int) -> None:
    n = scratch.board.tally[SHORTLISTED]
    second, short = scratch.second, scratch.short
    truth = -1
    highest = _F(-3e38)
    for q in range(n):
        highest = max(highest, second[q])
        if short[q] == slot:
            truth = q
    if truth < 0:
        return
    total = 0.0
    for q in range(n):
        second[q] = np.exp(second[q] - highest)
        total += second[q]
    hidden, output, back = scratch.hidden_step, scratch.output_step, scratch.units_of
    for h in range(HIDDEN):
        output[0, h] = 0.0
        output[1, h] = 0.0
        for f in range(INPUTS):
            hidden[f, h] = 0.0
    for q in range(n):
        g = _F(second[q] / total)
        if q == truth:
            g -= _F(1.0)
        elif g < _NEGLIGIBLE:
            continue
        for h in range(HIDDEN):
            u = scratch.units[h, q]
            output[1, h] += g * max(u, _F(0.0))
            back[h] = g * state.output[task, 1, h] if u > 0 else _F(0.0)
            output[0, h] += back[h]
        for f in range(FEATURES + 1):
            value = scratch.inputs[f, q]
            if value != 0.0:
                for h in range(HIDDEN):
                    hidden[f, h] += back[h] * value
    for k in range(CONTEXTS):
        value = scratch.context[k]
        for h in range(HIDDEN):
            # The context is the same for all: its gradient is that of the bias, scaled.
            hidden[FEATURES + 1 + k, h] = output[0, h] * value
    rate = state.settings[HIDDEN_RATE]
    _descend(state.hidden[task], state.hidden_squares[task], hidden, rate)
    _descend(state.output[task], state.output_squares[task], output, rate)


@inner
def _descend(weights: Array, squares: Array, step: Array, rate: float) -> None:
    for f in range(step.shape[0]):
        for h in range(step.shape[1]):
            d = step[f, h]
            squares[f, h] += d * d
            weights[f, h] -= _F(rate) * d / np.sqrt(squares[f, h] + _F(1.0))
