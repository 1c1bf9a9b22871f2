"""A zip archive written as it is sent: nothing of it is ever held whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime

#: Bytes of a piece at most: a client shows with each piece it takes that it still reads.
PIECE = 65_536


class _Pipe(io.RawIOBase):
    """Takes what the zip library writes and hands it out; cannot seek, like a socket."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]  # any buffer
        self._parts.append(part)
        return len(part)

    def take(self) -> Iterator[bytes]:
        """Yield what was written since the last call, in pieces."""
        parts, self._parts = self._parts, []
        whole = b"".join(parts)
        for start in range(0, len(whole), PIECE):
            yield whole[start : start + PIECE]


async def zipped(members: Iterable[tuple[str, AsyncIterator[bytes]]]) -> AsyncIterator[bytes]:
    """Yield the bytes of an archive whose members arrive in pieces, at most :data:`PIECE` each.

    Parameters
    ----------
    members
        ``(name, pieces)``; each is read to its end before the next begins.
    """
    pipe = _Pipe()
    now = datetime.now(UTC).timetuple()[:6]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=5) as archive:
        for name, pieces in members:
            info = zipfile.ZipInfo(name, now)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                async for piece in pieces:
                    member.write(piece)
                    for part in pipe.take():
                        yield part
    for part in pipe.take():
        yield part
