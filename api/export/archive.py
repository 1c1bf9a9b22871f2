"""A zip archive written as it is sent: nothing of it is ever held whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime


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

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


async def zipped(members: Iterable[tuple[str, AsyncIterator[bytes]]]) -> AsyncIterator[bytes]:
    """Yield the bytes of an archive whose members arrive in pieces.

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
                    if part := pipe.take():
                        yield part
    yield pipe.take()
