"""The batch view: the nightly model as a bounded neighbour table for the online model.

One generation is a folder ``<home>/batch_view/<generation>/`` with two files, ``neighbours.npz``
and ``manifest.json``. The file ``<home>/batch_view/current`` names the generation in service. The
content view (same artist, tags) has the same format in ``<home>/content_view``; it also describes
its tracks, so that a track without plays can be recommended. A folder gets its name when it is
complete and never changes afterwards, and ``current`` is replaced by a rename. A reader therefore
sees a complete generation, the new one or the previous one.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.errors import ConfigurationError, IncompatibleState
from contracts.whole_files import write_whole

LAYOUT_VERSION = 1


class Manifest(msgspec.Struct, kw_only=True):
    """Where a generation comes from and how good it was.

    Attributes
    ----------
    generation
        1, 2, 3, ...; a roll-back makes an older number current.
    plays_until
        Milliseconds since the epoch, UTC: the newest play it was trained on.
    metrics
        Hit rate and similar metrics on the held-out day, by ``model.metric``.
    run
        The nightly run that made it.
    """

    generation: int
    algorithm: str
    trained_at: str
    lake_version: int | None
    plays_until: int
    listeners: int
    tracks: int
    metrics: dict[str, float]
    layout: int = LAYOUT_VERSION
    run: str = ""


@dataclass(frozen=True, slots=True)
class Descriptions:
    """Descriptions of the ``n`` tracks of a view for serving, in the order of its keys.

    Attributes
    ----------
    id_keys, artist_keys
        Keys of the public id and of the artist (:mod:`contracts.ids`), 0 unknown; shape ``(n,)``,
        uint64.
    documents
        Pre-encoded JSON object of each track: ``track_id``, ``artist``, ``title``; ``b""`` unknown.
    """

    id_keys: npt.NDArray[np.uint64]
    artist_keys: npt.NDArray[np.uint64]
    documents: list[bytes]


@dataclass(frozen=True, slots=True)
class BatchView:
    """Neighbours of ``n`` tracks, ``s`` slots each.

    Attributes
    ----------
    keys
        Track keys (:func:`contracts.ids.track_key`), ascending; shape ``(n,)``, uint64.
    neighbours
        Row numbers of the neighbours; shape ``(n, s)``, int32; -1 marks an empty slot.
    weights
        Their weights, descending within a row; shape ``(n, s)``, float32. The score of a track for
        a listener is the sum of the weights from the played tracks to it.
    descriptions
        Of the tracks, if the view introduces tracks without plays.

    Examples
    --------
    A view of two tracks that are neighbours of each other:

    >>> from tempfile import TemporaryDirectory
    >>> manifest = Manifest(generation=1, algorithm="ease", trained_at="2026-01-31",
    ...     lake_version=3, plays_until=0, listeners=5, tracks=2, metrics={})
    >>> view = BatchView(np.array([10, 11], np.uint64), np.array([[1], [0]], np.int32),
    ...     np.array([[0.5], [0.5]], np.float32), manifest)
    >>> with TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     write(folder, view)
    ...     promote(folder, 1)
    ...     current(folder), read(folder, 1).neighbours.tolist()
    (1, [[1], [0]])
    """

    keys: npt.NDArray[np.uint64]
    neighbours: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    manifest: Manifest
    descriptions: Descriptions | None = None


def generations(folder: Path) -> list[int]:
    """Return the stored generations, ascending."""
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())


def current(folder: Path) -> int | None:
    """Return the generation in service, or ``None`` before the first is published."""
    try:
        return int((folder / "current").read_text())
    except FileNotFoundError:
        return None


def read_manifest(folder: Path, generation: int) -> Manifest:
    """Read the manifest of a generation, without its arrays.

    Raises
    ------
    IncompatibleState
        It does not exist, is torn, or has another layout.
    """
    try:
        text = (folder / str(generation) / "manifest.json").read_bytes()
        manifest = msgspec.json.decode(text, type=Manifest)
        # The directory of a zip archive is at its end: a torn archive has none.
        with zipfile.ZipFile(folder / str(generation) / "neighbours.npz") as archive:
            missing = {"keys.npy", "neighbours.npy", "weights.npy"} - set(archive.namelist())
        if missing:
            raise ValueError(f"the manifest lacks {', '.join(sorted(missing))}")
    except (OSError, ValueError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        raise IncompatibleState(f"batch view {generation} cannot be read: {error}") from None
    if manifest.layout != LAYOUT_VERSION:
        raise IncompatibleState(f"batch view {generation} has layout {manifest.layout}")
    return manifest


def read(folder: Path, generation: int) -> BatchView:
    """Read one generation; raises as :func:`read_manifest`."""
    manifest = read_manifest(folder, generation)
    try:
        path = folder / str(generation) / "neighbours.npz"
        with path.open("rb") as file, np.load(file) as arrays:  # numpy leaves a torn file open
            return BatchView(
                arrays["keys"],
                arrays["neighbours"],
                arrays["weights"],
                manifest,
                _described(arrays),
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise IncompatibleState(f"batch view {generation} cannot be read: {error}") from None


def _described(arrays: Mapping[str, npt.NDArray[Any]]) -> Descriptions | None:
    if "document_ends" not in arrays:
        return None
    ends = arrays["document_ends"].tolist()
    text = arrays["document_bytes"].tobytes()
    documents = [text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
    return Descriptions(arrays["id_keys"], arrays["artist_keys"], documents)


def write(folder: Path, view: BatchView) -> None:
    """Write a complete generation; :func:`promote` puts it into service."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / str(view.manifest.generation)
    making = folder / f".{view.manifest.generation}.{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    with (making / "neighbours.npz").open("wb") as file:
        arrays: dict[str, Any] = {
            "keys": view.keys,
            "neighbours": view.neighbours,
            "weights": view.weights,
        }
        if view.descriptions is not None:
            documents = view.descriptions.documents
            arrays["id_keys"] = view.descriptions.id_keys
            arrays["artist_keys"] = view.descriptions.artist_keys
            arrays["document_bytes"] = np.frombuffer(b"".join(documents), np.uint8)
            arrays["document_ends"] = np.cumsum([len(d) for d in documents], dtype=np.int64)
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    (making / "manifest.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(view.manifest), indent=2) + b"\n"
    )
    shutil.rmtree(target, ignore_errors=True)
    making.rename(target)


def promote(folder: Path, generation: int) -> None:
    """Put a generation into service, forward or back.

    Raises
    ------
    ConfigurationError
        It is not stored.
    """
    if generation not in generations(folder):
        raise ConfigurationError(f"batch view {generation} is not in {generations(folder)}")
    write_whole(folder / "current", str(generation))


def prune(folder: Path, keep: int) -> None:
    """Delete the oldest generations beyond the newest ``keep``, never the one in service."""
    service = current(folder)
    for generation in generations(folder)[:-keep]:
        if generation != service:
            shutil.rmtree(folder / str(generation))
