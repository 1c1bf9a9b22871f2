"""Pack the used rows of a model into one checked block of bytes, and unpack it.

Layout: magic, layout version and header length (little endian), header (JSON: configuration and,
per array, its name, rows, bytes and CRC-32), CRC-32 of the header, then the arrays' bytes. Every
byte of the file is covered by a checksum, and its length follows from the header.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import msgspec
import numpy as np

from online_model.config import ModelConfig
from online_model.creation import fresh_state
from online_model.errors import TornSnapshot
from online_model.layout import LAYOUT_VERSION, Layout
from online_model.state import State

_MAGIC = b"SEGUESNP"
_PREFIX = struct.Struct("<8sII")
_CRC = struct.Struct("<I")


class _Section(msgspec.Struct, frozen=True):
    name: str
    rows: int
    nbytes: int
    crc: int


class _Header(msgspec.Struct, frozen=True):
    config: ModelConfig
    sections: list[_Section]


def copy_rows(config: ModelConfig, state: State) -> list[bytes]:
    """Copy the used rows of every array: the only step the learner has to wait for."""
    layout = Layout(config)
    return [
        array[: layout.rows_in_use(state, field)].tobytes()
        for field, array in zip(layout.fields, state, strict=True)
    ]


def encode(config: ModelConfig, rows: list[bytes]) -> list[bytes]:
    """Return the parts of a snapshot, ready to be written one after another."""
    sections = []
    for field, body in zip(Layout(config).fields, rows, strict=True):
        row_bytes = np.dtype(field.dtype).itemsize * int(np.prod(field.shape[1:]))
        sections.append(_Section(field.name, len(body) // row_bytes, len(body), zlib.crc32(body)))
    header = msgspec.json.encode(_Header(config, sections))
    prefix = _PREFIX.pack(_MAGIC, LAYOUT_VERSION, len(header))
    return [prefix, header, _CRC.pack(zlib.crc32(prefix + header)), *rows]


def read_config(data: memoryview, path: Path) -> ModelConfig:
    """Return the configuration of a snapshot after checking its header."""
    return _read_header(data, path)[0].config


def decode(data: memoryview, path: Path, state: State | None = None) -> tuple[ModelConfig, State]:
    """Check a snapshot and copy its rows into zeroed arrays (new ones by default).

    Raises
    ------
    TornSnapshot
        If any byte is missing, surplus or different from what was written.
    """
    header, at = _read_header(data, path)
    layout = Layout(header.config)
    if [s.name for s in header.sections] != [f.name for f in layout.fields]:
        raise TornSnapshot(path, "other arrays than this version of the model has")
    if at + sum(s.nbytes for s in header.sections) != len(data):
        raise TornSnapshot(path, "its length differs from that in its header")
    starts = []
    for section in header.sections:
        if zlib.crc32(data[at : at + section.nbytes]) != section.crc:
            raise TornSnapshot(path, f"checksum of {section.name} differs")
        starts.append(at)
        at += section.nbytes
    if state is None:
        state = fresh_state(header.config)
    for section, start, field, array in zip(
        header.sections, starts, layout.fields, state, strict=True
    ):
        values = np.frombuffer(data[start : start + section.nbytes], field.dtype)
        array[: section.rows] = values.reshape(section.rows, *field.shape[1:])
    return header.config, state


def _read_header(data: memoryview, path: Path) -> tuple[_Header, int]:
    if len(data) < _PREFIX.size:
        raise TornSnapshot(path, "shorter than its prefix")
    magic, version, length = _PREFIX.unpack_from(data)
    end = _PREFIX.size + length
    if magic != _MAGIC:
        raise TornSnapshot(path, "not a snapshot")
    if len(data) < end + _CRC.size:
        raise TornSnapshot(path, "shorter than its header")
    if zlib.crc32(data[:end]) != _CRC.unpack_from(data, end)[0]:
        raise TornSnapshot(path, "checksum of the header differs")
    if version != LAYOUT_VERSION:
        raise TornSnapshot(path, f"layout {version}, this model reads {LAYOUT_VERSION}")
    header = msgspec.json.decode(data[_PREFIX.size : end], type=_Header)
    return header, end + _CRC.size
