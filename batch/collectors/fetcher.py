"""One call to a source, done properly: paced, retried, cached, counted, archived."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from batch.collectors.archive import Archive, ArchivedAnswer
from batch.collectors.cache import Cache, Cached
from batch.collectors.errors import SourceRefused, SourceUnavailable
from batch.collectors.pace import Pace
from batch.collectors.policy import retry_after
from batch.collectors.source import Outcome, Source
from batch.collectors.tally import Tally, count
from contracts.breaker import Breaker
from contracts.retries import Backoff, TryAgain, error_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one request brought."""

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: bool = False


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
    ) -> None:
        self.source = source
        self.archive = archive
        self.tally = Tally()
        self._cache = cache
        policy = source.policy
        self._pace = Pace(policy.rate, time.monotonic)
        self._breaker = Breaker(policy.breaker_rest, after=policy.breaker_after)
        self._pauses = Backoff(policy.first_wait, policy.longest_wait)
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
            ``None``: the source does not know the item.

        Raises
        ------
        SourceUnavailable
            No good answer after all attempts, or the source is being left alone.
        SourceRefused
            The source refuses permanently.
        """
        known = self.archive.find(what)
        if known is not None:
            self.tally.resumed += 1
            return None if known.status in (204, 404) else known
        asked = dict(params)
        question = f"{path}?{urlencode(sorted(asked.items()))}"
        held = self._cache.get(question) if self._cache else None
        if held is not None and held.fresh_until > time.time():
            self.tally.fresh += 1
            return self._keep(what, path, asked, 304, held.body)
        async with self._room:
            answer = await self._call(question, path, asked, held)
        if answer.missing:
            self.tally.missing += 1
            # Kept too: that there is nothing is an answer, and a resumed run need not ask again.
            self._keep(what, path, asked, 404, answer.body)
            return None
        if answer.status == 304 and held is not None:
            self.tally.unchanged += 1
            return self._keep(what, path, asked, 304, held.body)
        if self._cache is not None:
            self._cache.put(question, answer.body, answer.headers, time.time())
        return self._keep(what, path, asked, answer.status, answer.body)

    def _keep(
        self, what: str, path: str, params: dict[str, str], status: int, body: bytes
    ) -> ArchivedAnswer:
        return self.archive.append(
            what=what,
            path=path,
            params=params,
            status=status,
            fetched_at=int(time.time() * 1000),
            body=body.decode("utf-8", "replace"),
        )

    async def _call(
        self, question: str, path: str, params: dict[str, str], held: Cached | None
    ) -> _Answer:
        """Ask until there is an answer, as the source's policy allows."""
        policy, failed = self.source.policy, self.tally.failed
        conditions = held.conditions() if held is not None else {}
        self.tally.calls += 1
        call = AsyncRetrying(
            retry=retry_if_exception(self._may_try_again),
            stop=stop_after_attempt(policy.attempts),
            wait=self._pauses,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        try:
            return await call(self._attempt, path, params, conditions)
        except SourceRefused:
            count(failed, "refused")
            raise
        except TryAgain as error:
            count(failed, error.cause)
            end = f" ({policy.attempts} attempts)"
            if self._too_long(error):
                end = f"; it asks to come back in {error.after:.0f} s"
            raise SourceUnavailable(f"{self.source.name}: {question}: {error}{end}") from None

    def _too_long(self, error: TryAgain) -> bool:
        return (error.after or 0.0) > self.source.policy.longest_retry_after

    def _may_try_again(self, error: BaseException) -> bool:
        return isinstance(error, TryAgain) and not self._too_long(error)

    def _before_sleep(self, state: RetryCallState) -> None:
        error = error_of(state)
        assert isinstance(error, TryAgain)
        count(self.tally.retries, error.cause)
        if error.after is not None:
            self._pace.pause(error.after)  # it is meant for all of us, not for this call
        _LOG.info("%s: %s; retry in %.1f s", self.source.name, error, state.upcoming_sleep)

    async def _attempt(
        self, path: str, params: dict[str, str], conditions: Mapping[str, str]
    ) -> _Answer:
        """Send one request, when the pace allows it, and let the breaker know what came of it."""
        if (rest := self._breaker.rests_for()) > 0:
            count(self.tally.failed, "breaker-open")
            raise SourceUnavailable(
                f"{self.source.name} keeps failing or asked for a pause of {rest:.0f} s; "
                "run the same command again later: it resumes where it stopped"
            )
        await self._pace.slot()
        self.tally.attempts += 1
        try:
            answer = await self._answer(path, params, conditions)
        except SourceRefused:
            self._breaker.succeeded()  # it answers, only not to our liking
            raise
        except TryAgain as error:
            self._breaker.failed()
            if self._too_long(error):  # nor are the questions after this one to be asked
                self._breaker.open_for(error.after or 0.0)
            self.tally.breaker_opened = self._breaker.times_opened
            raise
        self._breaker.succeeded()
        return answer

    async def _answer(
        self, path: str, params: dict[str, str], conditions: Mapping[str, str]
    ) -> _Answer:
        source = self.source
        try:
            async with asyncio.timeout(source.policy.timeout):
                status, headers, body = await self._request(path, params, conditions)
        except TimeoutError:
            raise TryAgain(f"no whole answer in {source.policy.timeout}s", "timeout") from None
        except httpx.HTTPError as error:
            cause = "timeout" if isinstance(error, httpx.TimeoutException) else "transport"
            # The text of httpx errors may hold the URL, and with it the API key.
            raise TryAgain(type(error).__name__, cause) from None
        if body is None:
            raise TryAgain(f"more than {source.policy.largest_body} B", "too-large")
        self.tally.bytes += len(body)
        if status == 304 and conditions:
            return _Answer(status=304)
        try:
            document = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            document = None
        verdict = source.judge(status, document)
        if verdict.outcome is Outcome.REFUSED:
            raise SourceRefused(f"{source.name} refuses {path}: {verdict.message}")
        if verdict.outcome is Outcome.RETRY:
            after = retry_after(headers, time.time())
            raise TryAgain(verdict.message, verdict.cause, after)
        return _Answer(status, body, headers, verdict.outcome is Outcome.MISSING)

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
