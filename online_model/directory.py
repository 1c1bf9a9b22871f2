"""A folder of one model: the live file, its snapshots, and the pointer readers follow.

``live-N.bin`` is the mapped file of generation N, ``snapshot-N-P.bin`` a checked copy after P
plays, ``current`` a one-line file naming the live file that readers should map. Everything that
must appear whole is written aside, synced to disk and renamed.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from online_model import snapshots
from online_model.config import ModelConfig
from online_model.creation import initialise
from online_model.errors import NoModel, NoRoom, TornSnapshot
from online_model.layout import HEADER_BYTES, LAYOUT_VERSION, Layout
from online_model.recommender import Recommender
from online_model.state import GENERATION, PLAYS, State

_MAGIC = b"SEGUELIV"
_SNAPSHOTS_KEPT = 2


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
        self._writer: ThreadPoolExecutor | None = None

    # ---------------------------------------------------------------- the learner's side
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
            with _mapped(path) as data:
                try:
                    model = self._new_live(snapshots.read_config(data, path))
                    generation = model.generation
                    snapshots.decode(data, path, model.state)
                except TornSnapshot as error:
                    self.refused.append(error)
                    continue
            model.state.counters[GENERATION] = generation
            return model
        return self.create(config)

    def snapshots(self) -> list[Path]:
        """List the snapshots, newest first."""
        return sorted(self.path.glob("snapshot-*.bin"), reverse=True)

    def snapshot(self, model: Recommender) -> Path:
        """Write a snapshot and return its path once it is on disk."""
        return self._write(model.settings, model.freeze(), _snapshot_name(model))

    def snapshot_later(self, model: Recommender) -> Future[Path]:
        """Copy the used rows now and write them in a thread; one snapshot at a time."""
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        rows = model.freeze()
        return self._writer.submit(self._write, model.settings, rows, _snapshot_name(model))

    def publish(self, model: Recommender) -> None:
        """Point readers at a model's live file; they change over at their next refresh."""
        name = _live_name(model.generation)
        _write_whole(self.path / "current", [name.encode()])
        for path in self.path.glob("live-*.bin"):
            # Readers that still map an unlinked file keep it until they refresh.
            if path.name < name:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Wait for a snapshot being written."""
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None

    # ---------------------------------------------------------------- the readers' side
    def open_reader(self) -> Recommender:
        """Return a read-only view of the published model.

        Raises
        ------
        NoModel
            If nothing has been published yet.
        """
        config, state = self._map_current()
        return Recommender(config, state)

    def refresh(self, reader: Recommender) -> bool:
        """Change a reader over to the published file if that is another one; return whether."""
        with contextlib.suppress(OSError, NoModel):
            if self._current().name != _live_name(reader.generation):
                config, state = self._map_current()
                reader.adopt(config, state)
                return True
        return False

    # ---------------------------------------------------------------- files
    def _tidy(self) -> None:
        """Remove what learners left that were killed: halves of files, live files never published.

        Each is as large as the model, and one that ends at every start leaves one each time.
        """
        with contextlib.suppress(FileNotFoundError):
            published = (self.path / "current").read_text("utf-8").strip()
            for path in self.path.glob("live-*.bin"):
                if path.name != published:
                    path.unlink(missing_ok=True)
        for path in self.path.glob(".*.bin.*"):
            path.unlink(missing_ok=True)

    def _current(self) -> Path:
        try:
            return self.path / (self.path / "current").read_text("utf-8").strip()
        except FileNotFoundError:
            raise NoModel(self.path) from None

    def _map_current(self) -> tuple[ModelConfig, State]:
        for _ in range(100):
            path = self._current()
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue  # published anew between the two reads
            with file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            config = _read_live_header(mapped, path)
            return config, Layout(config).views(mapped)
        raise NoModel(self.path)

    def _new_live(self, config: ModelConfig) -> Recommender:
        self.path.mkdir(parents=True, exist_ok=True)
        generation = 1 + max(
            [int(p.stem.split("-")[1]) for p in self.path.glob("live-*.bin")]
            + [int(p.stem.split("-")[1]) for p in self.snapshots()],
            default=0,
        )
        layout = Layout(config)
        path = self.path / _live_name(generation)
        with path.open("x+b") as file:
            try:
                # All of it now: a full disk met later, in a mapped page, is a SIGBUS.
                os.posix_fallocate(file.fileno(), 0, layout.nbytes)
            except OSError as error:
                path.unlink()
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise NoRoom(self.path, layout.nbytes) from None
            mapped = mmap.mmap(file.fileno(), layout.nbytes)
        body = msgspec.json.encode(config)
        head = len(body).to_bytes(4, "little") + LAYOUT_VERSION.to_bytes(4, "little") + body
        mapped[: len(_MAGIC) + 4 + len(head)] = (
            _MAGIC + zlib.crc32(head).to_bytes(4, "little") + head
        )
        state = layout.views(mapped)
        state.counters[GENERATION] = generation
        return Recommender(config, state)

    def _write(self, config: ModelConfig, rows: list[bytes], name: str) -> Path:
        path = self.path / name
        _write_whole(path, snapshots.encode(config, rows))
        for old in self.snapshots()[_SNAPSHOTS_KEPT:]:
            old.unlink(missing_ok=True)
        return path


def _live_name(generation: int) -> str:
    return f"live-{generation:010d}.bin"


def _snapshot_name(model: Recommender) -> str:
    plays = int(model.state.counters[PLAYS])
    return f"snapshot-{model.generation:010d}-{plays:015d}.bin"


def _read_live_header(mapped: mmap.mmap, path: Path) -> ModelConfig:
    head = mapped[:HEADER_BYTES]
    size = int.from_bytes(head[12:16], "little")
    if head[:8] != _MAGIC or size > HEADER_BYTES - 20:
        raise TornSnapshot(path, "not a model's live file")
    if int.from_bytes(head[8:12], "little") != zlib.crc32(head[12 : 20 + size]):
        raise TornSnapshot(path, "checksum of the header differs")
    if int.from_bytes(head[16:20], "little") != LAYOUT_VERSION:
        version = int.from_bytes(head[16:20], "little")
        raise TornSnapshot(path, f"layout {version}, this model reads {LAYOUT_VERSION}")
    config = msgspec.json.decode(head[20 : 20 + size], type=ModelConfig)
    if len(mapped) < Layout(config).nbytes:
        raise TornSnapshot(path, "shorter than its arrays")
    return config


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            data = memoryview(mapped)
            try:
                yield data
            finally:
                with contextlib.suppress(BufferError):
                    data.release()


def _write_whole(path: Path, parts: list[bytes]) -> None:
    """Write a file so that after a crash it is either absent or complete."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)  # a disk that is full needs the room
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
