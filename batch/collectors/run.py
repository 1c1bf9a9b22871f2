"""One collection run from beginning to end: collect, stage, resolve, say how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from batch.catalogue.resettle import settle
from batch.catalogue.resolve import Resolved
from batch.catalogue.review import Review
from batch.collectors import files
from batch.collectors.archive import Archive
from batch.collectors.cache import Cache
from batch.collectors.checkpoints import Checkpoints
from batch.collectors.credentials import find
from batch.collectors.cursor import follow
from batch.collectors.deliver import Platform
from batch.collectors.facts import questions_for
from batch.collectors.fetcher import Fetcher
from batch.collectors.lastfm import source as lastfm
from batch.collectors.lastfm.plays_of import collect_plays
from batch.collectors.listenbrainz import plays as listenbrainz
from batch.collectors.listenbrainz import similar
from batch.collectors.listenbrainz.contract import ListensAnswer
from batch.collectors.lookups import Question, look_up
from batch.collectors.source import Source
from batch.collectors.spotify import plays as spotify_plays
from batch.collectors.spotify import source as spotify
from batch.collectors.spotify.contract import RecentlyPlayed
from batch.collectors.tally import Tally
from batch.content.build import Coverage
from batch.content.view import Published
from batch.staging.from_archive import READERS, stage_archive
from batch.staging.runs import note_run
from contracts.environ import read
from contracts.errors import ConfigurationError, Retryable, SegueError
from contracts.options import Sources
from contracts.postgres import connect
from contracts.settings import Settings

APIS = ("lastfm", "spotify", "listenbrainz")
FILES = tuple(files.FILES)
#: ``(what, done, total)``
Progress = Callable[[str, int, int], None]


class Outcome(msgspec.Struct):
    """What ``segue collect --json`` prints.

    ``outcome`` is ``finished``, ``open`` (the same command resumes) or ``failed``; ``staged`` and
    ``refused`` count rows by table and by reason.
    """

    source: str
    what: str
    outcome: str = "finished"
    error: str = ""
    plays: int = 0
    failure_rate: float = 0.0
    tally: Tally = msgspec.field(default_factory=Tally)
    staged: dict[str, int] = {}
    refused: dict[str, int] = {}
    resolved: Resolved | None = None
    review: Review | None = None
    coverage: Coverage | None = None
    view: Published | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What to collect.

    Attributes
    ----------
    user
        Listener at the source; ``None``: facts about music only.
    listener
        Whose plays they become here.
    since
        Read again from this second on.
    file
        Of the file sources.
    limit
        Things to look up at most.
    """

    source: str
    settings: Settings
    api: str
    token: str
    user: str | None = None
    listener: str | None = None
    since: int | None = None
    file: Path | None = None
    limit: int = 200


def collect(request: Request, progress: Progress = lambda what, done, total: None) -> Outcome:
    """Run a collection.

    An API that fails half-way leaves an outcome ``open`` with the error in it; what was collected
    up to there is staged.

    Raises
    ------
    ConfigurationError
        The source is unknown; credentials, a user, a file, a table or a right are missing.
    StoreUnavailable
        PostgreSQL does not answer.
    """
    if request.source not in (*APIS, *FILES):
        raise ConfigurationError(
            f"unknown source {request.source!r}; choose from {', '.join((*APIS, *FILES))}"
        )
    outcome = Outcome(request.source, f"plays of {request.user}" if request.user else "facts")
    started = datetime.now(UTC)
    with connect(request.settings.postgres_dsn, autocommit=True) as connection:
        if request.source in FILES:
            outcome.what = "file"
            progress(f"loading {request.file.name if request.file else ''}", 0, 0)
            staged = files.load(connection, request.source, request.file)
            outcome.staged, outcome.refused = staged.written, staged.refused
        else:
            _run_api(connection, request, outcome, progress)
        done = settle(
            connection,
            request.settings,
            progress=lambda what: progress(what, 0, 0),
        )
        outcome.resolved, outcome.review = done.resolved, done.review
        outcome.coverage, outcome.view = done.coverage, done.view
        note_run(
            connection,
            source=files.FILES[request.source].source
            if request.source in FILES
            else request.source,
            what=outcome.what,
            started_at=started,
            outcome=outcome.outcome,
            tally=outcome.tally,
            plays=outcome.plays,
        )
    return outcome


def configured(home: Path) -> list[str]:
    """Return the APIs whose credentials are set, so that a night may ask them for facts."""
    known = {
        "lastfm": find(lastfm.KEY, home) is not None,
        "spotify": spotify.has_app(home),
        "listenbrainz": find(listenbrainz.TOKEN, home) is not None,
    }
    return [source for source, there in known.items() if there]


def _run_api(
    connection: psycopg.Connection[Any], request: Request, outcome: Outcome, progress: Progress
) -> None:
    asked = [] if request.user else questions_for(connection, request.source, request.limit)
    folder = request.settings.paths.staging / request.source
    try:
        asyncio.run(_collect(request, folder, asked, outcome, progress))
    except ConfigurationError:
        raise
    except SegueError as error:
        outcome.error = str(error)
        outcome.outcome = "open" if isinstance(error, Retryable) else "failed"
    outcome.failure_rate = round(outcome.tally.failure_rate, 5)
    if request.source in READERS and folder.is_dir():
        progress("staging", 0, 0)
        done = stage_archive(connection, folder)
        outcome.staged = {name: loaded.written for name, loaded in done.tables.items()}
        outcome.refused = dict(done.refused)
        for loaded in done.tables.values():
            _add(outcome.refused, loaded.rejected)


async def _collect(
    request: Request, folder: Path, asked: Sequence[Question], outcome: Outcome, progress: Progress
) -> None:
    source = await _source(request)
    with Archive(folder) as archive:
        cache = Cache(folder)
        fetcher = Fetcher(source, archive, cache=None if request.user else cache)
        outcome.tally = fetcher.tally
        checkpoints = _checkpoints(request, folder)
        try:
            if request.user:
                await _plays(request, fetcher, checkpoints, outcome, progress)
            else:
                run = await look_up(
                    fetcher, checkpoints, "lookups", asked, _named(progress, "look-ups")
                )
                outcome.outcome = "finished" if run.finished else "open"
        finally:
            cache.close()
            await fetcher.close()


def _checkpoints(request: Request, folder: Path) -> Checkpoints:
    renamed = request.listener != request.user
    return Checkpoints(folder, (request.listener or "") if renamed else "")


async def _source(request: Request) -> Source:
    home, name = request.settings.home, request.source
    # Another address: a self-hosted ListenBrainz, a proxy, a test.
    places = read(Sources)
    url: str = getattr(places, f"{name}_url")
    if name == "lastfm":
        return lastfm.source(home, url or lastfm.BASE_URL)
    if name == "spotify":
        if request.user:
            return spotify.user_source(home, url or spotify.API)
        return await spotify.app_source(home, url or spotify.API, url or spotify.ACCOUNTS)
    if request.user:
        return listenbrainz.source(home, url or listenbrainz.API)
    return similar.source(home, places.listenbrainz_labs_url or similar.API)


async def _plays(
    request: Request,
    fetcher: Fetcher,
    checkpoints: Checkpoints,
    outcome: Outcome,
    progress: Progress,
) -> None:
    user = request.user or ""
    listener = request.listener or user
    platform = Platform(request.api, request.token, listener, fetcher.tally, request.source)
    show = _named(progress, "plays")
    since = request.since
    run: Awaitable[Any]
    if request.source == "lastfm":
        run = collect_plays(fetcher, checkpoints, user, platform, since=since, progress=show)
    elif request.source == "spotify":
        run = follow(
            fetcher, checkpoints, user, spotify_plays.PATH, spotify_plays.params, RecentlyPlayed,
            spotify_plays.read_page, platform, since=None if since is None else since * 1000,
            progress=show,
        )  # fmt: skip
    else:
        run = follow(
            fetcher, checkpoints, user, listenbrainz.path(user), listenbrainz.params,
            ListensAnswer, listenbrainz.read_page, platform, since=since, progress=show,
        )  # fmt: skip
    try:
        await run
    finally:
        outcome.plays = platform.accepted
        await platform.close()


def _named(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for reason, times in more.items():
        counts[reason] = counts.get(reason, 0) + times
