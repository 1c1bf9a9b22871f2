"""Posting plays to ``/v1/plays`` until they are in: replays, imports and collectors do it so."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.stop import stop_base

from batch.collectors.policy import retry_after
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.retries import Backoff, TryAgain, error_of

#: Plays per request; the API accepts up to 1,000.
BATCH = 500
#: Requests at once; each listener's plays go through one of them, in order.
LANES = 4
_AGAIN = frozenset({429, 500, 502, 503, 504})
#: A longer Retry-After than ``most_asked`` is not slept through in one go.
_PAUSES = Backoff(0.25, 2.0, most_asked=60.0)
_BUSY = "busy"


class Result(msgspec.Struct):
    """What became of one play: ``status`` is ``accepted`` or ``rejected``."""

    status: str
    event_id: str = ""
    reason: str = ""
    message: str = ""


class _Answer(msgspec.Struct):
    results: list[Result]


_ANSWER = msgspec.json.Decoder(_Answer)


class _GivesUp(stop_base):
    """Stops when nothing worked for so many seconds; a 429 counts as working."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since = time.monotonic()

    def __call__(self, retry_state: RetryCallState) -> bool:
        error, now = error_of(retry_state), time.monotonic()
        if isinstance(error, TryAgain) and error.cause == _BUSY:
            self._since = now
        return now - self._since > self._seconds


@dataclass(slots=True)
class Poster:
    """Sends bodies of plays.

    Attributes
    ----------
    give_up_after
        Seconds that one request may keep failing. An answer 429 is no failure: the time restarts.
    retries
        Requests that had to be sent again.
    """

    client: httpx.AsyncClient
    give_up_after: float
    retries: int = 0

    async def send(self, body: bytes) -> list[Result]:
        """Send ``{"plays": [...]}`` and return one result a play.

        Raises
        ------
        StoreUnavailable
            The API did not come back in time.
        ConfigurationError
            It refuses permanently (wrong token, wrong address).
        """
        send = AsyncRetrying(
            retry=retry_if_exception_type(TryAgain),
            stop=_GivesUp(self.give_up_after),
            wait=_PAUSES,
            before_sleep=self._count,
            reraise=True,
        )
        try:
            return await send(self._send_once, body)
        except TryAgain as error:
            raise StoreUnavailable(
                f"the API at {self.client.base_url} did not answer after several retries: {error}"
            ) from None

    async def _send_once(self, body: bytes) -> list[Result]:
        try:
            response = await self.client.post("/v1/plays", content=body)
        except httpx.TransportError as error:
            raise TryAgain(f"{type(error).__name__}: {error}") from None
        status = response.status_code
        if status in _AGAIN:
            after = retry_after(response.headers, time.time())
            raise TryAgain(f"HTTP {status}", _BUSY if status == 429 else "", after)
        if status in (202, 400):
            return self._results(response)
        raise self._refusal(response)

    def _count(self, _state: RetryCallState) -> None:
        self.retries += 1

    def _results(self, response: httpx.Response) -> list[Result]:
        try:
            return _ANSWER.decode(response.content).results
        except msgspec.MsgspecError:
            raise self._refusal(response) from None

    def _refusal(self, response: httpx.Response) -> ConfigurationError:
        text = response.text[:300]
        return ConfigurationError(
            f"{self.client.base_url} refused the plays: HTTP {response.status_code}: {text}"
        )


def open_client(api: str, token: str) -> httpx.AsyncClient:
    """Return a client for an API address and a token."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    # Reading every certificate of the system takes longer than most imports; plain HTTP needs none.
    encrypted = not api.startswith("http://")
    return httpx.AsyncClient(base_url=api, headers=headers, timeout=60.0, verify=encrypted)
