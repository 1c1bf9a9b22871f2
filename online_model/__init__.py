"""The online recommender: learns from every play, serves from memory-mapped arrays.

Pure: no sockets, no clock, no globals. See ``README.md`` in this folder.
"""

from __future__ import annotations

from online_model.config import ModelConfig
from online_model.directory import ModelDirectory
from online_model.errors import (
    ModelError,
    NoModel,
    NoRoom,
    ReadOnlyModel,
    TooManyOffsets,
    TornSnapshot,
)
from online_model.features import FEATURE_NAMES
from online_model.naming import TrackNames
from online_model.ranking import LearnStats, Ranking
from online_model.recommender import Recommender, ratio_code

__all__ = [
    "FEATURE_NAMES",
    "LearnStats",
    "ModelConfig",
    "ModelDirectory",
    "ModelError",
    "NoModel",
    "NoRoom",
    "Ranking",
    "ReadOnlyModel",
    "Recommender",
    "TooManyOffsets",
    "TornSnapshot",
    "TrackNames",
    "ratio_code",
]
