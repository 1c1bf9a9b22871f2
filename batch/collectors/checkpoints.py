"""Checkpoints: how far a walk is, written in one step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from contracts.errors import IncompatibleState
from contracts.ids import user_key
from contracts.whole_files import write_whole

State = TypeVar("State", bound=msgspec.Struct)


class Checkpoints:
    """Small JSON files under ``<home>/staging/<source>/checkpoints``.

    A file is written aside, synced and renamed: a reader finds the old state or the new one.

    Parameters
    ----------
    listener
        Who gets the plays, where an account at the source has another name; else empty. Each
        listener has checkpoints of their own: what one has got, another one has not.
    """

    def __init__(self, folder: Path, listener: str = "") -> None:
        self._folder = folder / "checkpoints"
        self._listener = f"{user_key(listener):016x}/" if listener else ""
        self._folder.mkdir(parents=True, exist_ok=True)

    def _path(self, name: str) -> Path:
        name = self._listener + name
        # The readable part may be the same for two names (user names hold anything); the key not.
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60]
        return self._folder / f"{readable}-{user_key(name):016x}.json"

    def load(self, name: str, kind: type[State]) -> State | None:
        """Return the state saved under a name, if any.

        Raises
        ------
        IncompatibleState
            The file was written by another layout.
        """
        path = self._path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise IncompatibleState(f"checkpoint {path}: {error}; move it away to start") from None

    def save(self, name: str, state: msgspec.Struct) -> None:
        """Save a state; on return it is on disk."""
        write_whole(self._path(name), msgspec.json.encode(state))
