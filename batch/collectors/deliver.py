"""Collected plays on their way into the platform: ``POST /v1/plays``, the only door for plays."""

from __future__ import annotations

import asyncio
import random
import time

import httpx
import msgspec

from batch.collectors.plays import CollectedPlay
from batch.collectors.policy import Policy, backoff, retry_after
from batch.collectors.tally import Tally, count
from contracts.errors import ConfigurationError, StoreUnavailable

#: Plays per request; the API takes up to 1,000.
BATCH = 500


class _Result(msgspec.Struct):
    status: str
    reason: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result]


_ANSWER = msgspec.json.Decoder(_Answer)
_POLICY = Policy(first_wait=0.25, longest_wait=5.0)


class Platform:
    """Posts plays for one listener; a play the API refuses is its dead letter and our count.

    Parameters
    ----------
    api
        Base URL.
    token
        Of the listener, or one with role client or admin.
    user
        The listener on our side.
    give_up_after
        Seconds one request may keep failing.
    """

    def __init__(
        self, api: str, token: str, user: str, tally: Tally, give_up_after: float = 120.0
    ) -> None:
        self._user = user
        self._tally = tally
        self._give_up_after = give_up_after
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._http = httpx.AsyncClient(base_url=api, headers=headers, timeout=60.0)
        self._rng = random.Random()  # noqa: S311 (jitter)
        self.accepted = 0

    async def __call__(self, plays: list[CollectedPlay]) -> None:
        """Post plays; on return each is in the log or among the dead letters.

        Sending the same plays again is harmless: their event ids are the same.

        Raises
        ------
        StoreUnavailable
            The API did not take them in time.
        ConfigurationError
            It refuses us for good.
        """
        for start in range(0, len(plays), BATCH):
            batch = [
                msgspec.structs.replace(p, user=self._user) for p in plays[start : start + BATCH]
            ]
            answer = await self._post(msgspec.json.encode({"plays": batch}))
            for result in answer.results:
                if result.status == "accepted":
                    self.accepted += 1
                else:
                    count(self._tally.rejected, f"api-{result.reason}")

    async def _post(self, body: bytes) -> _Answer:
        deadline = time.monotonic() + self._give_up_after
        attempt = 0
        while True:
            attempt += 1
            wait = None
            try:
                response = await self._http.post("/v1/plays", content=body)
            except httpx.TransportError as error:
                problem = type(error).__name__
            else:
                if response.status_code in (202, 400):
                    try:
                        return _ANSWER.decode(response.content)
                    except msgspec.MsgspecError:
                        raise ConfigurationError(
                            f"the API refused the plays: {response.text[:300]}"
                        ) from None
                if response.status_code != 429 and response.status_code < 500:
                    raise ConfigurationError(
                        f"the API answered {response.status_code}: {response.text[:300]}"
                    )
                problem = f"HTTP {response.status_code}"
                wait = retry_after(response.headers, time.time())
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"the API at {self._http.base_url} is away: {problem}")
            await asyncio.sleep(max(wait or 0.0, backoff(_POLICY, min(attempt, 10), self._rng)))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
