"""Listens after a moment, older ones first: ``min_ts`` gives the oldest listens after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from batch.collectors.credentials import Credential, find
from batch.collectors.cursor import Page
from batch.collectors.listenbrainz.contract import Listen, ListensAnswer
from batch.collectors.plays import Refused
from batch.collectors.policy import Policy
from batch.collectors.source import Source
from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional

NAME = "listenbrainz"
API = "https://api.listenbrainz.org"
TOKEN = Credential(NAME, "token", "your user token is shown at https://listenbrainz.org/settings/")
POLICY = Policy(rate=1.0, concurrency=1)
#: The service gives at most so many listens a page.
LIMIT = 1000


def source(home: Path, base_url: str = API, policy: Policy = POLICY) -> Source:
    """Return the source. Listens are public: a token is sent when there is one, and not needed."""
    token = find(TOKEN, home)
    headers = {"authorization": f"Token {token}"} if token else {}
    return Source(NAME, base_url, policy, {}, headers)


def path(user: str) -> str:
    """Return the path of a user's listens."""
    return f"/1/user/{quote(user, safe='')}/listens"


def params(after: int) -> dict[str, str]:
    """Return the parameters for listens after a moment (seconds since the epoch).

    ``min_ts`` is exclusive, so the page asked for begins a second early: listens that share their
    second with the last one of a page would be lost otherwise. What comes twice is recognised.
    """
    return {"count": str(LIMIT), "min_ts": str(max(0, after - 1))}


def read_page(answer: msgspec.Struct, after: int, lost: int = 0) -> Page:
    """Read an answer; `lost` rows of it were odd and are not in it."""
    assert isinstance(answer, ListensAnswer)
    listens = answer.payload.listens
    rows = [_row(listen) for listen in listens]
    newest = max([after, *(listen.listened_at for listen in listens)])
    size = len(listens) + lost
    if newest == after and size >= LIMIT:
        # A whole page of one second: the service has no way to show the rest of it.
        rows.append(Refused("same-second", f"more than {LIMIT} listens at {after}", str(after)))
        return Page(rows, after + 1, finished=False)
    return Page(rows, newest, finished=size < LIMIT)


def _row(listen: Listen) -> PostedPlay | Refused:
    names = listen.track_metadata
    artist, title = names.artist_name.strip(), names.track_name.strip()
    if not artist or not title or listen.listened_at <= 0:
        raw = msgspec.json.encode(listen).decode()
        return Refused("no-name", "artist, title and time are needed", raw)
    info = names.additional_info
    mapped = names.mbid_mapping.recording_mbid if names.mbid_mapping else None
    skipped = info.get("skipped")
    return PostedPlay(
        artist=artist,
        title=title,
        played_at=listen.listened_at * 1000,
        source="listenbrainz/1",
        album=optional(names.release_name, MAX_NAME),
        ms_played=length(info, "ms_played", "duration_played"),
        duration_ms=length(info, "duration_ms", "duration") or None,
        skipped=skipped if isinstance(skipped, bool) else None,
        reason_end=optional(info.get("reason_end")),
        recording_mbid=optional(info.get("recording_mbid")) or optional(mapped),
        isrc=optional(info.get("isrc")),
        spotify_uri=optional(info.get("spotify_id")),
    )


def length(info: dict[str, Any], exact: str, in_seconds: str) -> int | None:
    """Return a length in milliseconds: players send it exactly, in whole seconds, or not at all."""
    sent, seconds = milliseconds(info.get(exact)), milliseconds(info.get(in_seconds))
    return sent if sent is not None or seconds is None else milliseconds(seconds * 1000)
