"""The files inside a file: zip, tar, gzip and zstd are read as streams, member by member.

Nothing is unpacked to disk and no member's name is used as a path, so a name like ``../../x`` is
only a name. A member that grows out of all proportion to its compressed size is given up.
"""

from __future__ import annotations

import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from contracts.errors import ConfigurationError, Terminal

#: Bytes at the beginning of a member from which its format is detected.
HEAD = 1 << 16
#: Texts of plays shrink 10 to 50 times; deflate can do 1,032. Only judged beyond so many bytes.
MOST_EXPANSION = 250
EXPANSION_FROM = 64 << 20
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError, pa.ArrowException,
)  # fmt: skip


class Damaged(Terminal):
    """A member cannot be read on; what was read of it so far is good."""


class Stream:
    """The bytes of a member, with a look at the beginning, and an eye on how they multiply."""

    def __init__(self, name: str, file: Any, consumed: Callable[[], int]) -> None:
        self._name = name
        self._file = file
        self._consumed = consumed
        self._ahead = b""
        self._produced = 0

    def head(self) -> bytes:
        """Return the first bytes without taking them."""
        while len(self._ahead) < HEAD and (more := self._take(HEAD)):
            self._ahead += more
        return self._ahead[:HEAD]

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end.

        Raises
        ------
        Damaged
            The archive is torn, encrypted, of a kind we cannot read, or a bomb.
        """
        if self._ahead:
            taken, self._ahead = self._ahead[:size], self._ahead[size:]
            return taken
        return self._take(size)

    def _take(self, size: int) -> bytes:
        try:
            taken = bytes(self._file.read(size))
        except _DAMAGE as error:
            raise Damaged(f"{self._name} cannot be read on: {error}") from None
        self._produced += len(taken)
        if self._produced > EXPANSION_FROM and self._produced > MOST_EXPANSION * max(
            1, self._consumed()
        ):
            raise Damaged(
                f"{self._name} grows to more than {MOST_EXPANSION} times its packed size: "
                "given up as a zip bomb"
            )
        return taken


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside the file given; its stream is good until the next member is asked for."""

    name: str
    stream: Stream


def members(file: BinaryIO, name: str) -> Iterator[Member]:
    """Yield what a file consists of: itself, or the members of the archive it is.

    Raises
    ------
    Damaged
        The archive has no readable list of members.
    """
    magic = file.read(8)
    file.seek(0)
    if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _zip(file, name)
        return
    inner: Any = file
    if magic.startswith(b"\x1f\x8b"):
        inner, name = gzip.GzipFile(fileobj=file), name.removesuffix(".gz")
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        inner = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        name = name.removesuffix(".zst")
    elif magic.startswith((b"BZh", b"\xfd7zXZ", b"Rar!", b"7z\xbc\xaf")):
        raise ConfigurationError(f"{name}: unpack it first; zip, gzip, zstd and tar are read as is")
    stream = Stream(name, inner, file.tell)
    if stream.head()[257:262] == b"ustar":
        yield from _tar(stream, name, file)
    else:
        yield Member(name, stream)


def _zip(file: BinaryIO, name: str) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(file)
        entries = sorted(archive.infolist(), key=lambda entry: _natural(entry.filename))
    except _DAMAGE as error:
        raise Damaged(f"{name} is damaged or not a zip: {error}") from None
    with archive:
        for entry in entries:
            if entry.is_dir() or _is_litter(entry.filename):
                continue
            opened: Any
            try:
                opened = archive.open(entry)
            except _DAMAGE as error:
                opened = _Unreadable(error)
            with opened:
                # The size in the header may be wrong; the position in the file is right.
                start = entry.header_offset
                consumed = lambda start=start: file.tell() - start  # noqa: E731
                yield Member(entry.filename, Stream(entry.filename, opened, consumed))


class _Unreadable:
    """Represents a member that cannot be opened."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int) -> bytes:
        raise OSError(str(self._error))

    def __enter__(self) -> _Unreadable:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _tar(stream: Stream, name: str, file: BinaryIO) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
            for entry in archive:
                if entry.isfile() and not _is_litter(entry.name):
                    opened = archive.extractfile(entry)
                    yield Member(entry.name, Stream(entry.name, opened, file.tell))
    except tarfile.TarError as error:
        raise Damaged(f"{name} is damaged or not a tar: {error}") from None


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _natural(name: str) -> list[tuple[int, str]]:
    """Order 2.jsonl before 10.jsonl: exports number their files by time."""
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d{0,18})", name)]
