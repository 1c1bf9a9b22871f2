"""Posts what the simulated listeners play, as a gateway of many players would."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx

from contracts.environ import read
from contracts.errors import ConfigurationError
from contracts.home import HomePaths
from contracts.options import Simulation
from contracts.settings import Settings
from infra.operations.stopping import stop_on_signal
from infra.simulator import arms
from infra.simulator.catalogue import Catalogue, build
from infra.simulator.crowd import Crowd
from infra.simulator.listener import Heard
from infra.simulator.lists import Lists

log = logging.getLogger("segue.simulator")

SOURCE = "segue-simulator/1"
#: Plays of the first run's history.
BACKLOG = 20_000
#: Most plays of one call.
BATCH = 200
_TICK = 0.2
_REPORT_EVERY = 30.0
_LAST_PAUSE = 10.0
#: Plays that may wait while the API is away; beyond it the oldest are dropped, and counted.
_QUEUE = 200_000


class Poster:
    """Posts plays in order and does not let go of one until the API has taken or refused it.

    Parameters
    ----------
    client
        With base address and token set.
    catalogue
        To name the tracks.
    stopped
        Asked between attempts; ``True`` gives up waiting for an API that is away.

    Attributes
    ----------
    accepted, refused, dropped, retries
        Counts since the start; refused plays are dead letters there.
    """

    def __init__(
        self, client: httpx.Client, catalogue: Catalogue, stopped: Callable[[float], bool]
    ) -> None:
        self._client = client
        self._catalogue = catalogue
        self._stopped = stopped
        self._queue: deque[Heard] = deque()
        self.accepted = self.refused = self.dropped = self.retries = 0

    def add(self, plays: Iterable[Heard]) -> None:
        """Queue plays."""
        self._queue.extend(plays)
        while len(self._queue) > _QUEUE:
            self._queue.popleft()
            self.dropped += 1

    def flush(self) -> None:
        """Post all queued plays; returns early, plays still queued, when asked to stop."""
        pause = 0.25
        while self._queue:
            batch = [self._queue[i] for i in range(min(BATCH, len(self._queue)))]
            if self._post(batch):
                for _ in batch:
                    self._queue.popleft()
                pause = 0.25
                continue
            self.retries += 1
            if self._stopped(pause):
                return
            pause = min(_LAST_PAUSE, 2 * pause)

    def _post(self, batch: list[Heard]) -> bool:
        """Post once; ``False`` when the same call may succeed later."""
        try:
            answer = self._client.post("/v1/plays", json={"plays": [self._body(p) for p in batch]})
        except httpx.TransportError as error:
            log.warning("the API does not answer, will retry: %s", error)
            return False
        if answer.status_code >= 500 or answer.status_code == 429:
            log.warning("the API answered %d, will retry", answer.status_code)
            return False
        if answer.is_success:
            outcome = answer.json()
            self.accepted += outcome["accepted"]
            if outcome["rejected"]:
                self.refused += outcome["rejected"]
                log.error("the API refused %d of %d plays", outcome["rejected"], len(batch))
        else:
            self.refused += len(batch)
            log.error(
                "the API refused a batch of %d plays: %d %s",
                len(batch),
                answer.status_code,
                answer.text[:300],
            )
        return True

    def _body(self, heard: Heard) -> dict[str, Any]:
        track = self._catalogue.tracks[heard.track]
        named = {} if heard.impression is None else {"impression_id": heard.impression}
        return named | {
            "user": heard.user,
            "artist": track.artist,
            "title": track.title,
            "album": track.album,
            "played_at": heard.played_at,
            "ms_played": heard.ms_played,
            "duration_ms": track.duration_ms,
            "skipped": heard.skipped,
            "source": SOURCE,
        }


def _run_number(home: Path) -> tuple[Path, int]:
    """Return where runs are counted, and which one this is (0: the first)."""
    path = HomePaths(home).simulator_runs
    try:
        return path, int(path.read_text())
    except (OSError, ValueError):
        return path, 0


def run(settings: Settings) -> int:
    """Post plays at ``SEGUE_SIMULATE`` per second until SIGTERM; return the exit code.

    The first run of a home begins with :data:`BACKLOG` plays of history up to now.
    ``SEGUE_SIMULATE_SEED`` chooses catalogue and people.

    Raises
    ------
    ConfigurationError
        The rate or the seed is not a number, or there is no token.
    """
    chosen = read(Simulation)
    seed, rate = chosen.simulate_seed, chosen.simulate
    if not settings.admin_token:
        raise ConfigurationError("the simulator needs SEGUE_ADMIN_TOKEN")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # not a line for every call
    stop = stop_on_signal()
    catalogue = build(seed)
    runs, number = _run_number(settings.home)
    history = BACKLOG / rate if number == 0 else 0.0
    now = int(time.time() * 1000)
    crowd = Crowd(catalogue, seed, rate, now - int(1000 * history), number)
    log.info(
        "%d listeners of %d artists and %d tracks, %g plays/s, run %d",
        len(crowd.listeners), len(catalogue.by_artist), len(catalogue.tracks), rate, number,
    )  # fmt: skip
    threading.Thread(target=_catalogue, args=(settings, catalogue, seed), daemon=True).start()
    with httpx.Client(
        base_url=f"http://{settings.host}:{settings.port}",
        headers={"Authorization": f"Bearer {settings.admin_token}"},
        timeout=10.0,
    ) as client:
        poster = Poster(client, catalogue, stop.wait)
        poster.add(crowd.until(now))
        poster.flush()
        if not stop.is_set():
            runs.write_text(f"{number + 1}\n")
            log.info("history posted: %d plays", poster.accepted)
        if chosen.simulate_arms:
            arms.start(client, crowd.listeners)
        if chosen.simulate_lists:
            crowd.lists = Lists(client, catalogue)
        crowd.hurry_first(int(time.time() * 1000))
        _live(crowd, poster, stop)
    return 0


def _catalogue(settings: Settings, catalogue: Catalogue, seed: int) -> None:
    """Load the invented catalogue while the plays flow."""
    from infra.simulator.catalogue_load import load_in_background  # scipy: nobody waits for it

    load_in_background(settings, catalogue, seed)


def _live(crowd: Crowd, poster: Poster, stop: threading.Event) -> None:
    """Post each play soon after it has ended, by the real clock, until asked to stop."""
    report = time.monotonic() + _REPORT_EVERY
    while not stop.wait(_TICK):
        poster.add(crowd.until(int(time.time() * 1000)))
        poster.flush()
        if time.monotonic() >= report:
            report += _REPORT_EVERY
            log.info(
                "accepted %d, refused %d, dropped %d, retries %d",
                poster.accepted, poster.refused, poster.dropped, poster.retries,
            )  # fmt: skip
