"""A folder of one model: the live file, its snapshots, and the pointer readers follow.

``live-N.bin`` is the mapped file of generation N (:mod:`online_model.live_file`),
``snapshot-N-P.bin`` a checked copy after P plays (:mod:`online_model.snapshot_folder`), ``current``
a one-line file naming the live file that readers should map (:class:`_Publication`).
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Future
from pathlib import Path

from contracts.whole_files import unfinished, write_whole
from online_model import snapshots
from online_model.config import ModelConfig
from online_model.creation import initialise
from online_model.errors import NoModel, TornSnapshot
from online_model.live_file import create_live, live_name, open_live
from online_model.recommender import Recommender
from online_model.snapshot_folder import SnapshotFolder, mapped
from online_model.state import GENERATION, State

#: Attempts of a reader to open the published file: another may be published between its two reads.
_ATTEMPTS = 100


class ModelDirectory:
    """The model's files. One process writes; any number on the same host read.

    Attributes
    ----------
    refused
        Why :meth:`resume` used none of the newer snapshots, newest first: torn, or written by a
        version with other arrays.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> directory = ModelDirectory(folder.name)
    >>> learner = directory.resume(ModelConfig(tracks=100, listeners=100))
    >>> directory.publish(learner)
    >>> reader = directory.open_reader()
    >>> learner.learn_one("ada", "intro")
    >>> reader.plays_learned  # a play learned is a play served
    1
    >>> path = directory.snapshot(learner)
    >>> directory.resume().plays_learned
    1
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.refused: list[TornSnapshot] = []
        self._snapshots = SnapshotFolder(self.path)
        self._publication = _Publication(self.path)

    def create(self, config: ModelConfig | None = None) -> Recommender:
        """Return an empty model over a new live file, not yet visible to readers.

        Raises
        ------
        NoRoom
            The disk is too full for the file.
        """
        config = config or ModelConfig()
        model = self._new_live(config)
        initialise(model.state, config)
        return model

    def resume(self, config: ModelConfig | None = None) -> Recommender:
        """Return the newest good snapshot copied into a new live file, or a new model.

        The caller replays its logs from ``model.offsets`` and then publishes. A configuration
        that differs from the snapshot's is ignored: capacities belong to the stored model. Raises
        as :meth:`create`.
        """
        self.refused = []
        self._tidy()
        for path in self.snapshots():
            try:
                return self._restored(path)
            except TornSnapshot as error:
                self.refused.append(error)
        return self.create(config)

    def snapshots(self) -> list[Path]:
        """List the snapshots, newest first."""
        return self._snapshots.newest_first()

    def snapshot(self, model: Recommender) -> Path:
        """Write a snapshot and return its path once it is on disk."""
        return self._snapshots.write(model)

    def snapshot_later(self, model: Recommender) -> Future[Path]:
        """Copy the used rows now and write them in a thread; one snapshot at a time."""
        return self._snapshots.write_later(model)

    def publish(self, model: Recommender) -> None:
        """Point readers at a model's live file; they change over at their next refresh."""
        name = live_name(model.generation)
        self._publication.point_at(name)
        for path in self.path.glob("live-*.bin"):
            # Readers that still map an unlinked file keep it until they refresh.
            if path.name < name:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Wait for a snapshot being written."""
        self._snapshots.close()

    def open_reader(self) -> Recommender:
        """Return a read-only view of the published model.

        Raises
        ------
        NoModel
            If nothing has been published yet.
        """
        return Recommender(*self._publication.open())

    def refresh(self, reader: Recommender) -> bool:
        """Change a reader over to the published file if that is another one; return whether."""
        with contextlib.suppress(OSError, NoModel):
            if self._publication.name() != live_name(reader.generation):
                reader.adopt(*self._publication.open())
                return True
        return False

    def _restored(self, snapshot: Path) -> Recommender:
        """Copy a snapshot into a new live file; raises TornSnapshot and NoRoom."""
        with mapped(snapshot) as data:
            model = self._new_live(snapshots.read_config(data, snapshot))
            generation = model.generation
            snapshots.decode(data, snapshot, model.state)
        model.state.counters[GENERATION] = generation
        return model

    def _new_live(self, config: ModelConfig) -> Recommender:
        self.path.mkdir(parents=True, exist_ok=True)
        files = [*self.path.glob("live-*.bin"), *self.snapshots()]
        newest = max((_generation(path) for path in files), default=0)
        return create_live(self.path, newest + 1, config)

    def _tidy(self) -> None:
        """Remove what killed learners left: halves of files, live files never published.

        Each is as large as the model; a learner that crashes at every start would leave one each
        time.
        """
        with contextlib.suppress(NoModel):
            published = self._publication.name()
            for path in self.path.glob("live-*.bin"):
                if path.name != published:
                    path.unlink(missing_ok=True)
        for path in unfinished(self.path, "*.bin"):
            path.unlink(missing_ok=True)


class _Publication:
    """The file ``current``: which live file readers map."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pointer = folder / "current"

    def name(self) -> str:
        """Return the name of the published live file; raises NoModel."""
        try:
            return self._pointer.read_text("utf-8").strip()
        except FileNotFoundError:
            raise NoModel(self._folder) from None

    def point_at(self, name: str) -> None:
        """Publish another live file."""
        write_whole(self._pointer, name)

    def open(self) -> tuple[ModelConfig, State]:
        """Map the published live file for reading; raises NoModel and TornSnapshot."""
        for _ in range(_ATTEMPTS):
            # The file is missing if another was published since its name was read.
            with contextlib.suppress(FileNotFoundError):
                return open_live(self._folder / self.name())
        raise NoModel(self._folder)


def _generation(path: Path) -> int:
    """Return N of ``live-N.bin`` and of ``snapshot-N-P.bin``."""
    return int(path.stem.split("-")[1])
