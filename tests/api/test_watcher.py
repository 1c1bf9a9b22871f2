"""What the API remembers of its dependencies."""

from __future__ import annotations

import asyncio

import pytest

from api import watcher


async def test_a_dependency_that_was_reached_once_stays_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watcher, "EVERY_SECONDS", 0.0)
    said = iter(["not yet", "ok", "down"])
    looked = asyncio.Event()

    async def look() -> str:
        found = next(said, "")
        if not found:
            looked.set()
            await asyncio.Event().wait()
        return found

    async def never() -> str:
        raise OSError("refused")

    watched = watcher.Watcher({"kafka": look, "postgres": never})
    watched.start()
    async with asyncio.timeout(60):
        await looked.wait()
    assert watched.state == {"kafka": "down", "postgres": "refused"}
    assert watched.reached == {"kafka"}
    await watched.stop()
