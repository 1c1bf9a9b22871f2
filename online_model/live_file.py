"""The mapped file of a model in use: a checked header, then the arrays.

The header is magic, CRC-32 of what follows, then length of the configuration, layout version and
the configuration as JSON; integers are 32 bits, little endian.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zlib
from pathlib import Path

import msgspec

from online_model.config import ModelConfig
from online_model.errors import NoRoom, TornSnapshot
from online_model.layout import HEADER_BYTES, LAYOUT_VERSION, Layout
from online_model.recommender import Recommender
from online_model.state import GENERATION, State

_MAGIC = b"SEGUELIV"
_CRC = struct.Struct("<I")
_SIZE_AND_VERSION = struct.Struct("<II")
_CHECKED_FROM = len(_MAGIC) + _CRC.size
_CONFIG_FROM = _CHECKED_FROM + _SIZE_AND_VERSION.size


def live_name(generation: int) -> str:
    """Return the name of a generation's live file; names sort by generation."""
    return f"live-{generation:010d}.bin"


def create_live(folder: Path, generation: int, config: ModelConfig) -> Recommender:
    """Return a model over the zeroed arrays of a new live file.

    Raises
    ------
    NoRoom
        The disk is too full for the file.
    """
    layout = Layout(config)
    mapping = _reserve(folder / live_name(generation), layout.nbytes)
    header = _header(config)
    mapping[: len(header)] = header
    state = layout.views(mapping)
    state.counters[GENERATION] = generation
    return Recommender(config, state)


def open_live(path: Path) -> tuple[ModelConfig, State]:
    """Return the configuration and a read-only view of the arrays of a live file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TornSnapshot
        The file is damaged, or was written by a version with other arrays.
    """
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    config = _read_header(mapping, path)
    return config, Layout(config).views(mapping)


def _reserve(path: Path, size: int) -> mmap.mmap:
    """Make a file and map it. All of it is allocated now: a full disk met later is a SIGBUS."""
    with path.open("x+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            path.unlink()
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise NoRoom(path.parent, size) from None
        return mmap.mmap(file.fileno(), size)


def _header(config: ModelConfig) -> bytes:
    body = msgspec.json.encode(config)
    checked = _SIZE_AND_VERSION.pack(len(body), LAYOUT_VERSION) + body
    return _MAGIC + _CRC.pack(zlib.crc32(checked)) + checked


def _read_header(mapping: mmap.mmap, path: Path) -> ModelConfig:
    head = mapping[:HEADER_BYTES]
    if len(head) < _CONFIG_FROM or not head.startswith(_MAGIC):
        raise TornSnapshot(path, "not a model's live file")
    size, version = _SIZE_AND_VERSION.unpack_from(head, _CHECKED_FROM)
    end = _CONFIG_FROM + size
    if end > HEADER_BYTES:
        raise TornSnapshot(path, "not a model's live file")
    if _CRC.unpack_from(head, len(_MAGIC))[0] != zlib.crc32(head[_CHECKED_FROM:end]):
        raise TornSnapshot(path, "checksum of the header differs")
    if version != LAYOUT_VERSION:
        raise TornSnapshot(path, f"layout {version}, this model reads {LAYOUT_VERSION}")
    config = msgspec.json.decode(head[_CONFIG_FROM:end], type=ModelConfig)
    if len(mapping) < Layout(config).nbytes:
        raise TornSnapshot(path, "shorter than its arrays")
    return config
