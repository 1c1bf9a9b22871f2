"""Collected plays on their way into the platform: ``POST /v1/plays``, the only door for plays."""

from __future__ import annotations

import msgspec

from batch.collectors.tally import Tally, count
from batch.posting import BATCH, Poster, open_client
from contracts.posted import PostedPlay


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
    source
        Name of the service the plays come from.
    give_up_after
        Seconds one request may keep failing.
    """

    def __init__(
        self,
        api: str,
        token: str,
        user: str,
        tally: Tally,
        source: str = "",
        give_up_after: float = 120.0,
    ) -> None:
        self._user = user
        self._source = source or None
        self._tally = tally
        self._poster = Poster(open_client(api, token), give_up_after)
        self.accepted = 0

    async def __call__(self, plays: list[PostedPlay]) -> None:
        """Post plays; on return each is in the log or among the dead letters.

        Sending the same plays again is harmless: their event ids are the same. Raises as
        :meth:`batch.posting.Poster.send`.
        """
        for start in range(0, len(plays), BATCH):
            batch = [
                msgspec.structs.replace(p, user=self._user, imported_from=self._source)
                for p in plays[start : start + BATCH]
            ]
            for result in await self._poster.send(msgspec.json.encode({"plays": batch})):
                if result.status == "accepted":
                    self.accepted += 1
                else:
                    count(self._tally.rejected, f"api-{result.reason}")

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.client.aclose()
