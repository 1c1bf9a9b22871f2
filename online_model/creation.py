"""A model before its first play: settings, and the ranker's starting weights."""

from __future__ import annotations

import mmap

import numpy as np

from online_model.config import ModelConfig
from online_model.features import BIAS, FEATURE_NAMES, HIDDEN
from online_model.layout import Layout
from online_model.state import (
    GAP,
    HALF_LIFE,
    HIDDEN_RATE,
    LINEAR_RATE,
    RANKER_EVERY,
    TASTE_TRACKS,
    WARM_UP,
    State,
)

# Rough trust in the strongest sources, so that the first lists of a new model make sense.
_TRUST = {
    "next": 1.5,
    "next2": 0.3,
    "session": 1.0,
    "taste": 0.5,
    "activation": 0.5,
    "popular_day": 0.5,
    "popular_fortnight": 0.3,
    "batch": 0.5,
    "content": 0.3,
    "artist_session": 0.5,
    "artist_next": 0.3,
    "artist_rank": 0.3,
}


def initialise(state: State, config: ModelConfig) -> None:
    """Write settings and starting weights into zeroed arrays."""
    state.settings[GAP] = config.gap
    state.settings[HALF_LIFE] = config.half_life
    state.settings[RANKER_EVERY] = max(1, config.ranker_every)
    state.settings[WARM_UP] = config.warm_up
    state.settings[LINEAR_RATE] = config.linear_rate
    state.settings[HIDDEN_RATE] = config.hidden_rate
    state.settings[TASTE_TRACKS] = config.taste_tracks
    for name, trust in _TRUST.items():
        state.linear[:, BIAS, FEATURE_NAMES.index(name)] = trust
    generator = np.random.default_rng(config.seed)
    inputs = state.hidden.shape[1]
    state.hidden[:] = generator.normal(0.0, 1.0 / np.sqrt(inputs), state.hidden.shape)
    state.output[:, 1] = generator.normal(0.0, 0.5 / np.sqrt(HIDDEN), state.output[:, 1].shape)


def fresh_state(config: ModelConfig) -> State:
    """Return the arrays of a new model in ordinary memory, as if freshly mapped.

    Pages of the anonymous mapping that are never written take no memory.
    """
    layout = Layout(config)
    state = layout.views(mmap.mmap(-1, layout.nbytes))
    initialise(state, config)
    return state
