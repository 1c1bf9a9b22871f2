"""How large a model may grow, and the constants of its memory. One setting serves all streams."""

from __future__ import annotations

import msgspec

from contracts.errors import ConfigurationError


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Capacities and constants of a model; part of its file, so a reader needs no second source.

    Parameters
    ----------
    tracks, listeners
        Most tracks and listeners kept; the least active are forgotten beyond that. Rows not yet
        used cost no memory and no disk.
    sessions
        Recent sessions kept for the nearest-session source; the oldest is overwritten.
    next_slots, session_slots, taste_slots
        Neighbours kept per track by what follows it, by what shares a session, by what shares a
        listener.
    outside_slots
        Neighbours per track in each table filled from outside (nightly batch view, content).
    session_ring, session_tracks
        Recent sessions remembered per track, and tracks remembered per session.
    history
        Plays kept per listener, newest last.
    gap
        Silence that ends a session, seconds.
    half_life
        Time after which a neighbour's weight counts half, seconds.
    ranker_every, warm_up
        The ranker learns from one play in this many, after as many plays as ``warm_up``, of which
        it learns from all.
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
    >>> ModelConfig(tracks=1000).tracks
    1000
    >>> ModelConfig().nbytes // ModelConfig().tracks < 10_000
    True
    """

    tracks: int = 65_536
    listeners: int = 65_536
    sessions: int = 131_072
    next_slots: int = 80
    session_slots: int = 96
    taste_slots: int = 96
    outside_slots: int = 32
    session_ring: int = 24
    session_tracks: int = 20
    history: int = 300
    gap: int = 1800
    half_life: int = 90 * 86_400
    ranker_every: int = 10
    warm_up: int = 4_000
    linear_rate: float = 0.1
    hidden_rate: float = 0.05
    taste_tracks: int = 15
    document_bytes: int = 384
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("tracks", "listeners", "sessions", "history", "gap", "half_life"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"ModelConfig.{name} must be at least 1")
        if self.history > 4096:
            raise ConfigurationError("ModelConfig.history must be at most 4096 plays")

    @property
    def nbytes(self) -> int:
        """Size of the file when every row is in use, bytes."""
        from online_model.layout import Layout

        return Layout(self).nbytes
