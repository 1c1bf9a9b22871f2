"""Sending scrobbles to Last.fm (https://www.last.fm/api/scrobbling)."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import msgspec

from contracts.events import Play
from streams.relay.payload import scrobble
from streams.relay.service import TIMEOUT, Answer, BatchRefused, SecretRefused, TryLater, call

#: Error codes after which the session key, or our API key, no longer works.
_REFUSED = {4, 9, 10, 13, 14, 15, 17, 26}
#: Error codes after which the same call may succeed. Of one account only: 29, the rate limit.
_LATER = {8, 11, 16, 29}
_RATE_LIMIT = 29
#: ``ignoredMessage``: the account has scrobbled too much today. Everything else is for ever.
_DAILY_LIMIT = "5"
_DAILY_WAIT = 3600.0


class Lastfm:
    """Last.fm, or a server that speaks its protocol.

    Parameters
    ----------
    url
        Address of the Web Services, ``https://ws.audioscrobbler.com/2.0/``.
    key, shared_secret
        Of our account for the API.
    """

    #: Scrobbles of one call, as the protocol has it.
    most = 50

    def __init__(self, url: str, key: str, shared_secret: str) -> None:
        self._url = url
        self._key = key
        self._shared_secret = shared_secret
        self._client = httpx.Client(timeout=TIMEOUT, verify=url.startswith("https:"))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def account(self, secret: str) -> str:
        """Return the name of the account; raises as :meth:`streams.relay.service.Service.send`."""
        return str(self._call("user.getInfo", secret, {}).get("user", {}).get("name", ""))

    def send(self, secret: str, plays: list[Play]) -> Answer:
        """Scrobble; a play that Last.fm ignores is refused, except for the daily limit."""
        fields = {
            f"{name}[{i}]": value
            for i, play in enumerate(plays)
            for name, value in scrobble(play).items()
        }
        said = self._call("track.scrobble", secret, fields).get("scrobbles", {})
        results = said.get("scrobble", [])
        results = results if isinstance(results, list) else [results]
        if len(results) != len(plays):
            raise TryLater(f"Last.fm answered for {len(results)} of {len(plays)} scrobbles")
        answer = Answer()
        for i, result in enumerate(results):
            ignored = result.get("ignoredMessage") or {}
            code = str(ignored.get("code", "0"))
            if code == _DAILY_LIMIT:
                raise TryLater("Last.fm: daily limit of scrobbles", _DAILY_WAIT, service_down=False)
            if code != "0":
                answer.refused[i] = f"ignored by Last.fm ({code}): {ignored.get('#text', '')}"
        return answer

    def _call(self, method: str, secret: str, fields: dict[str, str]) -> dict[str, Any]:
        params = {**fields, "method": method, "api_key": self._key, "sk": secret}
        text = "".join(f"{name}{params[name]}" for name in sorted(params)) + self._shared_secret
        # The protocol fixes md5.
        params["api_sig"] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        body = {**params, "format": "json"}
        answer = call_with_code(
            self._client, self._client.build_request("POST", self._url, data=body)
        )
        if "error" not in answer:
            return answer
        code, message = answer["error"], str(answer.get("message", ""))[:300]
        if code in _REFUSED:
            raise SecretRefused(f"Last.fm, error {code}: {message}")
        if code in _LATER:
            reason = f"Last.fm, error {code}: {message}"
            raise TryLater(reason, service_down=code != _RATE_LIMIT)
        raise BatchRefused(f"Last.fm, error {code}: {message}")


def call_with_code(client: httpx.Client, request: httpx.Request) -> dict[str, Any]:
    """Return Last.fm's answer; an error is in the body, regardless of the HTTP status."""
    answer = call(client, request)
    try:
        said = msgspec.json.decode(answer.content)
    except msgspec.MsgspecError:
        said = None
    if not isinstance(said, dict) or (not answer.is_success and "error" not in said):
        raise TryLater(f"HTTP {answer.status_code} from {request.url.host}, not of Last.fm's form")
    return said
