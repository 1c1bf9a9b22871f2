"""One call to a source, done properly: paced, retried, cached, counted, archived."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from batch.collectors.archive import Archive, ArchivedAnswer
from batch.collectors.cache import Cache, Cached
from batch.collectors.errors import SourceRefused, SourceUnavailable
from batch.collectors.pace import Clock, Pace, Sleep
from batch.collectors.policy import backoff, retry_after
from batch.collectors.source import Outcome, Source
from batch.collectors.tally import Tally, count
from contracts.breaker import Breaker

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Wall:
    """Time and chance, so that tests can hold both still."""

    monotonic: Clock = time.monotonic
    epoch: Clock = time.time
    sleep: Sleep = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one request brought: an answer, or a cause to try again with a time to wait."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    missing: bool = False
    cause: str = ""
    problem: str = ""
    wait: float | None = None


class Fetcher:
    """Asks one source.

    Parameters
    ----------
    archive
        Where answers are kept; answers of this run found there are not asked for again.
    cache
        For conditional requests; ``None`` to always ask.
    """

    def __init__(
        self,
        source: Source,
        archive: Archive,
        *,
        cache: Cache | None = None,
        tally: Tally | None = None,
        wall: Wall | None = None,
    ) -> None:
        self.source = source
        self.archive = archive
        self.tally = tally if tally is not None else Tally()
        self._cache = cache
        self._wall = wall or Wall()
        policy = source.policy
        self._pace = Pace(policy.rate, self._wall.monotonic, self._wall.sleep)
        self._breaker = Breaker(
            policy.breaker_rest, after=policy.breaker_after, clock=self._wall.monotonic
        )
        self._room = asyncio.Semaphore(policy.concurrency)
        self._http = httpx.AsyncClient(
            headers={"user-agent": "segue/0.1", "accept": "application/json", **source.headers},
            timeout=policy.timeout,
            follow_redirects=False,
        )

    async def get(self, what: str, path: str, params: Mapping[str, str]) -> ArchivedAnswer | None:
        """Return the answer to one question, kept in the archive under the unit `what`.

        Returns
        -------
        ArchivedAnswer or None
            ``None``: the source says there is no such thing.

        Raises
        ------
        SourceUnavailable
            No good answer after all attempts, or the source is being left alone.
        SourceRefused
            The source says no for good.
        """
        known = self.archive.find(what)
        if known is not None:
            self.tally.resumed += 1
            return None if known.status in (204, 404) else known
        asked = dict(params)
        question = f"{path}?{urlencode(sorted(asked.items()))}"
        held = self._cache.get(question) if self._cache else None
        if held is not None and held.fresh_until > self._wall.epoch():
            self.tally.fresh += 1
            return self._keep(what, path, asked, 304, held.body)
        async with self._room:
            attempt = await self._call(question, path, asked, held)
        if attempt.missing:
            self.tally.missing += 1
            # Kept too: that there is nothing is an answer, and a resumed run need not ask again.
            self._keep(what, path, asked, 404, attempt.body)
            return None
        if attempt.status == 304 and held is not None:
            self.tally.unchanged += 1
            return self._keep(what, path, asked, 304, held.body)
        if self._cache is not None:
            self._cache.put(question, attempt.body, attempt.headers, self._wall.epoch())
        return self._keep(what, path, asked, attempt.status, attempt.body)

    def _keep(
        self, what: str, path: str, params: dict[str, str], status: int, body: bytes
    ) -> ArchivedAnswer:
        return self.archive.append(
            what=what,
            path=path,
            params=params,
            status=status,
            fetched_at=int(self._wall.epoch() * 1000),
            body=body.decode("utf-8", "replace"),
        )

    async def _call(
        self, question: str, path: str, params: dict[str, str], held: Cached | None
    ) -> _Attempt:
        policy, tally = self.source.policy, self.tally
        conditions = held.conditions() if held is not None else {}
        tally.calls += 1
        for number in range(1, policy.attempts + 1):
            if (rest := self._breaker.rests_for()) > 0:
                count(tally.failed, "breaker-open")
                raise SourceUnavailable(
                    f"{self.source.name} keeps failing or asks for a rest of {rest:.0f} s; "
                    "run the same command again later, it goes on where it stopped"
                )
            await self._pace.slot()
            tally.attempts += 1
            try:
                attempt = await self._attempt(path, params, conditions)
            except SourceRefused:
                self._breaker.succeeded()  # it answers, only not to our liking
                count(tally.failed, "refused")
                raise
            if not attempt.cause:
                self._breaker.succeeded()
                return attempt
            self._breaker.failed()
            last = number == policy.attempts
            wanted = attempt.wait or 0.0
            too_long = wanted > policy.longest_retry_after
            if too_long:  # nor are the questions after this one to be asked
                self._breaker.open_for(wanted)
            tally.breaker_opened = self._breaker.times_opened
            if last or too_long:
                count(tally.failed, attempt.cause)
                raise SourceUnavailable(
                    f"{self.source.name}: {question}: {attempt.problem}"
                    + (
                        f"; it asks to come back in {wanted:.0f} s"
                        if too_long
                        else f" ({number} attempts)"
                    )
                )
            count(tally.retries, attempt.cause)
            wait = backoff(policy, number, self._wall.rng)
            if attempt.wait is not None:
                wait = max(wait, attempt.wait)
                self._pace.pause(attempt.wait)  # it is meant for all of us, not for this call
            _LOG.info("%s: %s, again in %.1f s", self.source.name, attempt.problem, wait)
            await self._wall.sleep(wait)
        raise AssertionError("a policy has at least one attempt")

    async def _attempt(
        self, path: str, params: dict[str, str], conditions: Mapping[str, str]
    ) -> _Attempt:
        source = self.source
        try:
            async with asyncio.timeout(source.policy.timeout):
                status, headers, body = await self._request(path, params, conditions)
        except TimeoutError:
            return _Attempt(cause="timeout", problem=f"no whole answer in {source.policy.timeout}s")
        except httpx.TimeoutException as error:
            return _Attempt(cause="timeout", problem=type(error).__name__)
        except httpx.HTTPError as error:
            # The text of httpx errors may hold the URL, and with it the API key.
            return _Attempt(cause="transport", problem=type(error).__name__)
        if body is None:
            return _Attempt(cause="too-large", problem=f"more than {source.policy.largest_body} B")
        self.tally.bytes += len(body)
        if status == 304 and conditions:
            return _Attempt(status=304)
        try:
            document = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            document = None
        verdict = source.judge(status, document)
        if verdict.outcome is Outcome.REFUSED:
            raise SourceRefused(f"{source.name} refuses {path}: {verdict.message}")
        if verdict.outcome is Outcome.RETRY:
            return _Attempt(
                cause=verdict.cause,
                problem=verdict.message,
                wait=retry_after(headers, self._wall.epoch()),
            )
        missing = verdict.outcome is Outcome.MISSING
        return _Attempt(status, body, headers, document, missing)

    async def _request(
        self, path: str, params: dict[str, str], conditions: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        query = {**params, **self.source.secret_params}
        async with self._http.stream(
            "GET", self.source.base_url + path, params=query, headers=dict(conditions)
        ) as response:
            chunks, size = [], 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > self.source.policy.largest_body:
                    return response.status_code, response.headers, None
                chunks.append(chunk)
            return response.status_code, response.headers, b"".join(chunks)

    @property
    def left_alone(self) -> bool:
        """Whether the breaker is open: the source is not asked now."""
        return self._breaker.rests_for() > 0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
