"""The archive that is written while it is sent."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator

from api.export.archive import zipped


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_members_read_back() -> None:
    members = [("a.txt", pieces(b"one", b" two")), ("empty", pieces()), ("ü/b", pieces(b"\x00"))]
    whole = b"".join([part async for part in zipped(members)])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.txt", "empty", "ü/b"]
        assert archive.read("a.txt") == b"one two"


async def test_nothing_is_held_whole() -> None:
    """Sixty megabytes pass through less than four."""
    block = bytes(range(256)) * 256

    async def long() -> AsyncIterator[bytes]:
        for _ in range(960):
            yield block

    tracemalloc.start()
    sent = 0
    async for part in zipped([("long", long())]):
        sent += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 0
    assert peak < 4_000_000
