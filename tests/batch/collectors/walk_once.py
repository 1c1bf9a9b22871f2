"""``python -m tests.batch.collectors.walk_once URL HOME``: one walk, to be killed at any point."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from batch.collectors.archive import Archive
from batch.collectors.checkpoints import Checkpoints
from batch.collectors.deliver import Platform
from batch.collectors.fetcher import Fetcher
from batch.collectors.lastfm.plays_of import collect_plays
from batch.collectors.lastfm.source import judge
from batch.collectors.lastfm.walk import Walk
from batch.collectors.policy import Policy
from batch.collectors.source import Source
from batch.collectors.tally import Tally

QUICK = Policy(rate=2000.0, timeout=30.0, first_wait=0.001, longest_wait=0.01, breaker_after=50)


def quick_source(url: str) -> Source:
    """Return Last.fm at a local address, impatient."""
    return Source("lastfm", url, QUICK, {"api_key": "key", "format": "json"}, {}, judge)


async def walk_once(
    url: str, home: Path, user: str = "ada", since: int | None = None
) -> tuple[Walk, Tally]:
    """Collect the plays of a listener into the platform at the same address."""
    folder = home / "lastfm"
    with Archive(folder) as archive:
        async with Fetcher(quick_source(url), archive) as fetcher:
            platform = Platform(url, "token", user, fetcher.tally)
            try:
                walk = await collect_plays(
                    fetcher, Checkpoints(folder), user, platform, since=since
                )
            finally:
                await platform.close()
            return walk, fetcher.tally


if __name__ == "__main__":
    asyncio.run(walk_once(sys.argv[1], Path(sys.argv[2])))
