"""The methods of Last.fm's Web Services that players use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from api.errors import ApiError
from api.feedback import feedback_record
from api.lastfm import about, charts
from api.lastfm.browser import issue_token, redeem_token
from api.lastfm.errors import INVALID_METHOD, INVALID_PARAMETERS, LastfmError, try_again
from api.lastfm.library import get_info, get_recent_tracks, remove_scrobble
from api.lastfm.params import Params
from api.lastfm.plays import Outcome, now_playing_of, record
from api.lastfm.reading import as_lastfm
from api.lastfm.sessions import Session, log_in, log_in_md5, require_session
from api.lastfm.tree import Node
from api.listenbrainz.playing_now import set_playing_now
from api.services import Services
from contracts.errors import BrokerUnavailable, StoreUnavailable

ROUTE = "/2.0/"
#: Scrobbles one call may carry.
MAX_SCROBBLES = 50
#: Most characters of artist and title together of a track that is loved.
LONGEST_NAMES = 2000

Method = Callable[[Services, Params], Awaitable[Node | None]]


async def get_mobile_session(services: Services, params: Params) -> Node:
    """auth.getMobileSession: ``password`` as it is, or ``authToken``."""
    user = params.need("username")
    if proof := params.get("authtoken"):
        return _session(await log_in_md5(services, user, proof, None))
    return _session(await log_in(services, user, params.need("password"), params.origin))


async def get_token(services: Services, params: Params) -> Node:
    """auth.getToken: the first step of logging in through the browser."""
    return Node("token", await issue_token(services, params.origin))


async def get_session(services: Services, params: Params) -> Node:
    """auth.getSession: the last step, after the listener has agreed."""
    return _session(await redeem_token(services, params.need("token")))


async def scrobble(services: Services, params: Params) -> Node:
    """track.scrobble: up to 50 plays; ``ignoredMessage`` gives the reason of each refused one."""
    identity = await require_session(services, params.get("sk"))
    items = params.items()
    if not items or len(items) > MAX_SCROBBLES:
        raise LastfmError(
            INVALID_PARAMETERS, f"Send 1 to {MAX_SCROBBLES} scrobbles with artist and track."
        )
    outcomes = await record(services, ROUTE, identity, items)
    ignored = sum(outcome.ignored > 0 for outcome in outcomes)
    shown = [Node("scrobble", children=_shown(outcome)) for outcome in outcomes]
    counts = {"accepted": len(outcomes) - ignored, "ignored": ignored}
    return Node("scrobbles", attributes=counts, children=shown)


async def update_now_playing(services: Services, params: Params) -> Node:
    """track.updateNowPlaying."""
    identity = await require_session(services, params.get("sk"))
    artist, track = params.need("artist").strip(), params.need("track").strip()
    metadata = now_playing_of(artist, track, params.get("album"), params.get("duration"))
    try:
        await set_playing_now(services, identity.user_id, metadata)
    except StoreUnavailable:
        raise try_again() from None
    shown = Outcome(dict(params.named))
    return Node("nowplaying", children=[*_names(shown), _ignored(shown)])


async def love(services: Services, params: Params) -> None:
    """track.love."""
    await _feedback(services, params, "love")


async def unlove(services: Services, params: Params) -> None:
    """track.unlove."""
    await _feedback(services, params, "undo")


METHODS: dict[str, Method] = {
    "auth.getmobilesession": get_mobile_session,
    "auth.gettoken": get_token,
    "auth.getsession": get_session,
    "track.scrobble": scrobble,
    "track.updatenowplaying": update_now_playing,
    "track.love": love,
    "track.unlove": unlove,
    "user.getinfo": get_info,
    "user.getrecenttracks": get_recent_tracks,
    "user.getlovedtracks": charts.get_loved_tracks,
    "user.gettopartists": charts.top("artists"),
    "user.gettopalbums": charts.top("albums"),
    "user.gettoptracks": charts.top("tracks"),
    "user.getweeklychartlist": charts.get_weekly_chart_list,
    "user.getweeklyartistchart": charts.weekly("artists"),
    "user.getweeklyalbumchart": charts.weekly("albums"),
    "user.getweeklytrackchart": charts.weekly("tracks"),
    "track.getinfo": about.get_track,
    "artist.getinfo": about.get_artist,
    "artist.getsimilar": about.get_similar_artists,
    "artist.gettoptracks": about.get_top_tracks,
    "library.removescrobble": remove_scrobble,
}


async def call(services: Services, params: Params) -> Node | None:
    """Carry out a call.

    Raises
    ------
    LastfmError
        With the code that makes players do the right thing.
    """
    method = METHODS.get(params.need("method").lower())
    if method is None:
        raise LastfmError(INVALID_METHOD, "Invalid Method - No method with that name here.")
    params.check_signature(services.settings.lastfm_secret)
    try:
        return await method(services, params)
    except ApiError as error:
        raise as_lastfm(error) from None


async def _feedback(services: Services, params: Params, kind: str) -> None:
    identity = await require_session(services, params.get("sk"))
    artist, title = params.need("artist").strip(), params.need("track").strip()
    names = artist + title
    if not (artist and title) or "\x00" in names or len(names) > LONGEST_NAMES:
        raise LastfmError(INVALID_PARAMETERS, "artist and track must be names.")
    message = feedback_record(services, identity.user_id, kind, artist, title, "lastfm")
    try:
        await services.log.append([message])
    except BrokerUnavailable:
        raise try_again() from None


def _session(session: Session) -> Node:
    parts = [Node("name", session.user_id), Node("key", session.key), Node("subscriber", 0)]
    return Node("session", children=parts)


def _names(outcome: Outcome) -> list[Node]:
    given = outcome.scrobble
    return [
        Node(name, given.get(field, ""), {"corrected": "0"})
        for name, field in (
            ("track", "track"),
            ("artist", "artist"),
            ("album", "album"),
            ("albumArtist", "albumartist"),
        )
    ]


def _shown(outcome: Outcome) -> list[Node]:
    stamp = Node("timestamp", outcome.scrobble.get("timestamp", ""))
    return [*_names(outcome), stamp, _ignored(outcome)]


def _ignored(outcome: Outcome) -> Node:
    return Node("ignoredMessage", outcome.why, {"code": str(outcome.ignored)})
