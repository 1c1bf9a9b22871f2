"""Spotify as a source: tokens, pace, and the paths that are still served."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from batch.collectors.credentials import Credential, find, require
from batch.collectors.errors import SourceRefused, SourceUnavailable
from batch.collectors.lookups import Question
from batch.collectors.policy import Policy
from batch.collectors.source import Outcome, Source, Verdict, judge_by_status
from batch.collectors.spotify.contract import Album, Artist, Track
from batch.collectors.spotify.withdrawn import check
from contracts.errors import ConfigurationError

NAME = "spotify"
API = "https://api.spotify.com"
ACCOUNTS = "https://accounts.spotify.com"
_DASHBOARD = "create an app at https://developer.spotify.com/dashboard"
CLIENT_ID = Credential(NAME, "client_id", f"{_DASHBOARD}; it shows the client ID")
CLIENT_SECRET = Credential(NAME, "client_secret", f"{_DASHBOARD}; it shows the client secret")
USER_TOKEN = Credential(
    NAME,
    "user_token",
    "an access token of the listener with scope user-read-recently-played: run the "
    "authorization code flow of your app (https://developer.spotify.com/documentation/web-api"
    "/tutorials/code-flow)",
)
#: Spotify counts over 30 seconds and does not say how much; two a second has room.
POLICY = Policy(rate=2.0, concurrency=2)
_CONTRACTS: dict[str, type[msgspec.Struct]] = {
    "artists": Artist,
    "albums": Album,
    "tracks": Track,
}


class _Token(msgspec.Struct):
    access_token: str


def judge(status: int, document: Any) -> Verdict:
    """Judge by status; 401 and 403 are explained."""
    if status in (401, 403):
        said = document.get("error") if isinstance(document, dict) else None
        message = said.get("message", "") if isinstance(said, dict) else ""
        hint = (
            f"the token has expired or lacks a scope; renew {USER_TOKEN.variable}"
            if status == 401
            else "this endpoint is not open to this app (see docs/sources.md on what was withdrawn)"
        )
        return Verdict(Outcome.REFUSED, str(status), f"HTTP {status} {message}: {hint}")
    return judge_by_status(status, document)


def user_source(home: Path, base_url: str = API, policy: Policy = POLICY) -> Source:
    """Return Spotify as a listener sees it.

    Raises
    ------
    ConfigurationError
        No user token is set.
    """
    token = require([USER_TOKEN], home)["user_token"]
    headers = {"authorization": f"Bearer {token}"}
    return Source(NAME, base_url, policy, {}, headers, judge)


async def app_source(
    home: Path, base_url: str = API, accounts: str = ACCOUNTS, policy: Policy = POLICY
) -> Source:
    """Return Spotify as an app sees it, with a token got by client credentials.

    Raises
    ------
    ConfigurationError
        Credentials are missing.
    SourceRefused, SourceUnavailable
        Spotify does not accept them, or does not answer.
    """
    keys = require([CLIENT_ID, CLIENT_SECRET], home)
    pair = f"{keys['client_id']}:{keys['client_secret']}".encode()
    headers = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    async with httpx.AsyncClient(timeout=policy.timeout) as client:
        try:
            answer = await client.post(
                f"{accounts}/api/token",
                data={"grant_type": "client_credentials"},
                headers=headers,
            )
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"Spotify's accounts: {type(error).__name__}") from None
    if answer.status_code in (400, 401, 403):
        raise SourceRefused(
            f"Spotify does not accept {CLIENT_ID.variable} and {CLIENT_SECRET.variable}"
        )
    try:
        token = msgspec.json.decode(answer.content, type=_Token).access_token
    except msgspec.MsgspecError:
        raise SourceUnavailable(f"Spotify's accounts: HTTP {answer.status_code}") from None
    return Source(NAME, base_url, policy, {}, {"authorization": f"Bearer {token}"}, judge)


def has_app(home: Path) -> bool:
    """Whether the app's credentials are set."""
    return all(find(each, home) for each in (CLIENT_ID, CLIENT_SECRET))


def about(kind: str, ids: Iterable[str]) -> Iterator[Question]:
    """Ask for artists, albums or tracks, one look-up each.

    Raises
    ------
    ConfigurationError
        For a kind that is not served.
    """
    contract = _CONTRACTS.get(kind)
    if contract is None:
        raise ConfigurationError(f"Spotify look-ups are {', '.join(_CONTRACTS)}, not {kind}")
    for each in ids:
        path = f"/v1/{kind}/{each}"
        check(path)
        yield Question(f"{kind}/{each}", path, {}, contract)
