"""Audioscrobbler 1.2, the line protocol of mpdscribble, VLC and other old players."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from api.auth import Identity
from api.feedback import feedback_record
from api.http import read_body
from api.lastfm.errors import AUTHENTICATION_FAILED, INVALID_SESSION, LastfmError
from api.lastfm.params import MAX_BODY, Params
from api.lastfm.plays import now_playing_of, record
from api.lastfm.sessions import log_in_md5, require_session
from api.listenbrainz.playing_now import set_playing_now
from api.producer import LogRecord
from api.public_address import public_address
from api.services import Services
from api.web import With
from contracts.errors import BrokerUnavailable, StoreUnavailable

router = APIRouter(include_in_schema=False)
NOW_PLAYING, SUBMIT = "/audioscrobbler/np_1.2", "/audioscrobbler/protocol_1.2"
#: How far a player's clock may be off (seconds).
CLOCK = 3600
SOURCE = "audioscrobbler/1.2"
# 1.2's one-letter names and what they are called elsewhere.
_FIELDS = {
    "a": "artist",
    "t": "track",
    "i": "timestamp",
    "l": "duration",
    "b": "album",
    "m": "mbid",
    "r": "rating",
}


@router.get("/")
async def handshake(request: Request, services: With) -> Response:
    """Answer a player's hello with a session and two addresses.

    A browser is sent to the pages, everybody else to the documentation.
    """
    query = {name: values[-1] for name, values in parse_qs(request.url.query).items()}
    if query.get("hs") != "true":
        wants_page = "text/html" in request.headers.get("accept", "")
        return RedirectResponse(_pages(request, services) if wants_page else "/docs")
    stamp = query.get("t", "")
    if not stamp.isascii() or not stamp.isdigit() or abs(int(stamp[:12]) - time.time()) > CLOCK:
        return PlainTextResponse("BADTIME\n")
    if not query.get("p", "").startswith("1.2"):
        return PlainTextResponse("FAILED only protocol 1.2 is spoken here\n")
    user, proof = query.get("u", ""), query.get("a", "")
    try:
        session = await log_in_md5(services, user, proof, stamp)
    except LastfmError as error:
        bad = error.code == AUTHENTICATION_FAILED
        return PlainTextResponse("BADAUTH\n" if bad else f"FAILED {error.message}\n")
    base = _base(request, services)
    return PlainTextResponse(f"OK\n{session.key}\n{base}{NOW_PLAYING}\n{base}{SUBMIT}\n")


@router.post(NOW_PLAYING)
async def now_playing(request: Request, services: With) -> Response:
    """Note what plays now."""
    try:
        params = await _read(request)
        identity = await require_session(services, params.get("s"))
        artist, track = params.need("a").strip(), params.need("t").strip()
        metadata = now_playing_of(artist, track, params.get("b"), params.get("l"))
        await set_playing_now(services, identity.user_id, metadata)
    except LastfmError as error:
        return _failed(error)
    except StoreUnavailable:
        return PlainTextResponse("FAILED try again later\n")
    return PlainTextResponse("OK\n")


@router.post(SUBMIT)
async def submit(request: Request, services: With) -> Response:
    """Record plays; ``OK`` means that every valid play is in the log.

    A refused play becomes a dead letter, and the answer does not mention it: the protocol cannot
    express it, and after ``FAILED`` the player would resend it forever. ``L`` loves a track.
    """
    try:
        params = await _read(request)
        identity = await require_session(services, params.get("s"))
        items = [
            {_FIELDS[name]: value for name, value in item.items() if name in _FIELDS}
            | {"source": SOURCE}
            for item in params.items()
        ]
        if not items:
            return PlainTextResponse("FAILED no plays in the request\n")
        outcomes = await record(services, SUBMIT, identity, items)
        loved = [
            outcome.scrobble
            for outcome in outcomes
            if outcome.scrobble.get("rating") == "L" and not outcome.ignored
        ]
        await services.log.append([_love(services, identity, track) for track in loved])
    except BrokerUnavailable:
        return PlainTextResponse("FAILED try again later\n")
    except LastfmError as error:
        return _failed(error)
    return PlainTextResponse("OK\n")


def _love(services: Services, identity: Identity, track: dict[str, str]) -> LogRecord:
    artist, title = track["artist"].strip(), track["track"].strip()
    return feedback_record(services, identity.user_id, "love", artist, title, SOURCE)


def _pages(request: Request, services: Services) -> str:
    """Return the address of the pages: the one they are published under, else on this host."""
    settings = services.settings
    here = public_address(request, settings).replace(port=settings.web_port, path="/ui/")
    return f"{settings.web_url.rstrip('/')}/ui/" if settings.web_url else str(here)


def _base(request: Request, services: Services) -> str:
    """Return this server's address, always with its port: VLC takes one without for none at all."""
    url = public_address(request, services.settings)
    port = url.port or (443 if url.scheme == "https" else 80)
    return str(url.replace(port=port)).rstrip("/")


async def _read(request: Request) -> Params:
    return Params.read(b"", await read_body(request.scope, request.receive, MAX_BODY))


def _failed(error: LastfmError) -> Response:
    bad = error.code == INVALID_SESSION
    return PlainTextResponse("BADSESSION\n" if bad else f"FAILED {error.message}\n")
