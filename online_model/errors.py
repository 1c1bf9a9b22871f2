"""What can go wrong inside the model, as types under :class:`contracts.errors.SegueError`."""

from __future__ import annotations

from pathlib import Path

from contracts.errors import IncompatibleState, StoreUnavailable, Terminal


class ModelError(Terminal):
    """Base of the model's own errors."""


class ReadOnlyModel(ModelError):
    """A reader was asked to learn; only the learner's process may write the arrays.

    Examples
    --------
    >>> from online_model import ModelConfig, Recommender
    >>> from online_model.state import as_readonly
    >>> learner = Recommender(ModelConfig(tracks=100, listeners=100))
    >>> Recommender(learner.settings, as_readonly(learner.state)).learn_one("ada", "intro")
    Traceback (most recent call last):
    online_model.errors.ReadOnlyModel: this model is a read-only view; learn in the process that \
owns it
    """

    def __init__(self) -> None:
        super().__init__("this model is a read-only view; learn in the process that owns it")


class NoModel(ModelError):
    """A directory holds no published model yet.

    Examples
    --------
    >>> from online_model import ModelDirectory
    >>> ModelDirectory("/no/such/folder").open_reader()
    Traceback (most recent call last):
    online_model.errors.NoModel: no model has been published in /no/such/folder
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"no model has been published in {path}")
        self.path = path


class NoRoom(StoreUnavailable):
    """The disk is too full for the model's arrays; with room the same call works."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(f"no room for the model: {path} needs {size / 1e6:.1f} MB")


class TooManyOffsets(ModelError):
    """The offset table is full: more (log, partition) pairs than the model was made for."""

    def __init__(self, capacity: int) -> None:
        super().__init__(f"the model keeps offsets of at most {capacity} partitions")
        self.capacity = capacity


class TornSnapshot(IncompatibleState):
    """A snapshot is incomplete or its bytes do not match their checksum."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name}: {reason}")
        self.path = path
        self.reason = reason
