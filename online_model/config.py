"""How large a model may grow, and the constants of its memory. One setting serves all streams."""

from __future__ import annotations

import msgspec

from contracts.errors import ConfigurationError
from contracts.plays import SESSION_GAP


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Capacities and constants of a model; part of its file, so a reader needs no second source.

    Parameters
    ----------
    tracks, listeners
        Most tracks and listeners kept; the least active are forgotten beyond that. Rows not yet
        used cost no memory and no disk.
    next_slots, pair_slots
        Neighbours kept per track by what follows it, and by what shares a session or a listener.
    outside_slots
        Neighbours per track in each table filled from outside (nightly batch view, content).
    artist_tracks, artist_newest, artist_kin
        Best known tracks, tracks met last, and other artists kept for an artist.
    history
        Plays kept per listener, newest last.
    gap
        Silence that ends a session, seconds.
    half_life
        Time after which a neighbour's weight counts half, seconds.
    ranker_every, warm_up
        The ranker learns from every play at first, then from one in two, in three, ... each for
        ``warm_up`` plays, and from one in ``ranker_every`` in the end.
    linear_rate, hidden_rate
        Step sizes of the ranker's two stages (Adagrad).
    taste_tracks
        Newest distinct tracks of a listener that the listener-level table learns and is asked by.
    document_bytes
        Average room per track for its pre-encoded description, bytes.
    seed
        Start of the ranker's weights.

    Examples
    --------
    >>> ModelConfig(tracks=1000).history
    300
    >>> ModelConfig(history=5000)
    Traceback (most recent call last):
    contracts.errors.ConfigurationError: ModelConfig.history must be at most 4096 plays
    """

    tracks: int = 65_536
    listeners: int = 65_536
    next_slots: int = 64
    pair_slots: int = 160
    outside_slots: int = 32
    artist_tracks: int = 32
    artist_newest: int = 8
    artist_kin: int = 24
    history: int = 300
    gap: int = SESSION_GAP
    half_life: int = 90 * 86_400
    ranker_every: int = 8
    warm_up: int = 4_000
    linear_rate: float = 0.1
    hidden_rate: float = 0.05
    taste_tracks: int = 25
    document_bytes: int = 384
    seed: int = 1

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int) and name != "seed" and value < 1:
                raise ConfigurationError(f"ModelConfig.{name} must be at least 1, not {value}")
        if self.history > 4096:
            raise ConfigurationError("ModelConfig.history must be at most 4096 plays")
