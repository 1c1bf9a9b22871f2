"""Posting plays to ``/v1/plays`` until they are in: replays, imports and collectors do it so."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import httpx
import msgspec

from batch.collectors.policy import Policy, backoff, retry_after
from contracts.errors import ConfigurationError, StoreUnavailable

#: Plays per request; the API accepts up to 1,000.
BATCH = 500
#: Requests at once; each listener's plays go through one of them, in order.
LANES = 4
_AGAIN = frozenset({429, 500, 502, 503, 504})
_POLICY = Policy(first_wait=0.25, longest_wait=2.0)
#: Seconds: a longer Retry-After is not slept through in one go.
_LONGEST_NAP = 60.0


class Result(msgspec.Struct):
    """What became of one play: ``status`` is ``accepted`` or ``rejected``."""

    status: str
    event_id: str = ""
    reason: str = ""
    message: str = ""


class _Answer(msgspec.Struct):
    results: list[Result]


_ANSWER = msgspec.json.Decoder(_Answer)


@dataclass(slots=True)
class Poster:
    """Sends bodies of plays.

    Attributes
    ----------
    give_up_after
        Seconds one request may keep failing. A server that says 429 is well and may take its time.
    retries
        Requests that had to be sent again.
    """

    client: httpx.AsyncClient
    give_up_after: float
    retries: int = 0
    _rng: random.Random = field(default_factory=random.Random)

    async def send(self, body: bytes) -> list[Result]:
        """Send ``{"plays": [...]}`` and return one result a play.

        Raises
        ------
        StoreUnavailable
            The API did not come back in time.
        ConfigurationError
            It refuses us for good (wrong token, wrong address).
        """
        deadline = time.monotonic() + self.give_up_after
        attempt = 0
        while True:
            attempt += 1
            wait = None
            try:
                response = await self.client.post("/v1/plays", content=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.status_code in (202, 400):
                    return self._results(response)
                if response.status_code not in _AGAIN:
                    raise self._refusal(response)
                if response.status_code == 429:
                    deadline = time.monotonic() + self.give_up_after
                problem = f"HTTP {response.status_code}"
                wait = retry_after(response.headers, time.time())
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"the API at {self.client.base_url} did not come back: {problem}"
                )
            self.retries += 1
            pause = backoff(_POLICY, min(attempt, 10), self._rng)
            await asyncio.sleep(max(pause, min(wait or 0.0, _LONGEST_NAP)))

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
