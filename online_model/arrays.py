"""A model's arrays: what they are, how far they have learned, and copies of them."""

from __future__ import annotations

from online_model import snapshots
from online_model.config import ModelConfig
from online_model.errors import ReadOnlyModel
from online_model.offsets import read_offsets, total_offset, write_offset
from online_model.scratch import Scratch, new_scratch
from online_model.state import CLOCK, GENERATION, PLAYS, TRACKS, State, as_readonly


class ModelArrays:
    """Holds the arrays, which others may map read-only while one process learns.

    Parameters
    ----------
    config
        Capacities and constants the arrays were made for.
    state
        The arrays to work on.
    """

    def __init__(self, config: ModelConfig, state: State) -> None:
        self.adopt(config, state)

    def adopt(self, config: ModelConfig, state: State) -> None:
        """Switch to other arrays, as a reader does when a new live file is published."""
        self._config = config
        self._state = state
        self._reading = as_readonly(state)
        self._scratch: Scratch = new_scratch(config)

    @property
    def state(self) -> State:
        """The arrays themselves; read-only in a reader."""
        return self._state

    @property
    def scratch(self) -> Scratch:
        """Working memory of this object; after a list it holds the candidates and features."""
        return self._scratch

    @property
    def settings(self) -> ModelConfig:
        """The configuration in force."""
        return self._config

    @property
    def read_only(self) -> bool:
        """Whether this is a view of another process's model."""
        return not self._state.counters.flags.writeable

    @property
    def generation(self) -> int:
        """Number of the live file, higher for each restart of the learner."""
        return int(self._state.counters[GENERATION])

    @property
    def plays_learned(self) -> int:
        """Plays learned as transitions since the model was created."""
        return int(self._state.counters[PLAYS])

    @property
    def clock(self) -> int:
        """Newest second learned, seconds since the epoch; 0 before the first play."""
        return int(self._state.counters[CLOCK])

    @property
    def tracks(self) -> int:
        """Track rows in use."""
        return min(int(self._state.counters[TRACKS]), self._config.tracks)

    @property
    def offsets(self) -> dict[tuple[str, int], int]:
        """``{(log_id, partition): offset}`` up to which the model has learned."""
        return read_offsets(self._state)

    @property
    def total_offset(self) -> int:
        """The sum of :attr:`offsets`, without making the dictionary."""
        return total_offset(self._state)

    def set_offset(self, log_id: str, partition: int, offset: int) -> None:
        """Record how far a partition of a log has been learned.

        Examples
        --------
        >>> from online_model import Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> model.set_offset("log", partition=2, offset=40)
        >>> model.offsets, model.total_offset
        ({('log', 2): 40}, 40)
        """
        self._must_write()
        write_offset(self._state, log_id, partition, offset)

    def _must_write(self) -> None:
        if self.read_only:
            raise ReadOnlyModel

    def freeze(self) -> list[bytes]:
        """Copy the used rows, to be written by :func:`online_model.snapshots.encode`."""
        return snapshots.copy_rows(self._config, self._state)
