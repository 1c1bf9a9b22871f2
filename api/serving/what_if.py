"""GET /v1/users/{user}/what-if: the list of an imagined context beside the list of now.

A list is a function of the listener's window, the moment and the model. So another window or
another moment gives the list that would be shown then. Nothing of it is shown to the listener as a
recommendation, so nothing is logged as an impression.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response

from api.audit import origin_of
from api.errors import ApiError
from api.listenbrainz.queries import rows_of
from api.services import Services
from api.serving.explain import documents_of
from api.serving.held import model_and_plays
from api.serving.lists import Moment
from api.serving.lookup import key_of
from api.serving.recommend import LONGEST_NAME, check_name
from api.web import Caller, With, answers, json_reply
from contracts.features import Listener
from contracts.ids import track_key
from online_model import Recommender

router = APIRouter(prefix="/v1", tags=["serving"])

MAX_LIMIT = 50
#: How far from now the imagined moment may be.
_FAR = timedelta(days=366)
#: A play that is imagined was heard to its end.
_HEARD = 100
_PLAY = """
    select artist, title, played_at from listens_v1
    where user_id = %(user)s and event_id = %(event)s
"""


class Placed(msgspec.Struct):
    """A track of one list; ``other`` is its place in the other list, from 1, if it is there."""

    track_id: str
    artist: str
    title: str
    place: int
    other: int | None


class WhatIf(msgspec.Struct):
    """The list of now, and the one that would be; both by the same model, without exploration."""

    user: str
    generation: int
    offset: int
    at: str
    now: list[Placed]
    then: list[Placed]


class Change(NamedTuple):
    """What is imagined: a play taken out, one put in, a track hidden, another moment."""

    without: tuple[int, int] | None = None
    play: int | None = None
    hide: int | None = None
    at: int | None = None


@router.get("/users/{user}/what-if", responses=answers(WhatIf), summary="What if?")
async def what_if(
    request: Request,
    services: With,
    caller: Caller,
    user: Annotated[str, Path(max_length=LONGEST_NAME)],
    without: UUID | None = None,
    play: Annotated[str | None, Query(max_length=256)] = None,
    hide: Annotated[str | None, Query(max_length=256)] = None,
    at: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20,
    discover: bool = False,
) -> Response:
    """Return the list a listener would get in another context, beside the one of now.

    `without` is a play (its id) that had not happened, `play` a track played now, `hide` a track
    that is hidden, `at` another moment within a year: plays after it have not happened. The model
    is the present one. Several may be given.
    """
    caller.check_acts_for(user)
    check_name(user)
    if caller.user_id != user:
        await services.audit.note_reading(caller.user_id, user, origin_of(request))
    live, held = await model_and_plays(services, user)
    listener = Listener.unpack(held)
    change = Change(
        await _play_of(services, user, without) if without else None,
        _known(live, "play", play),
        _known(live, "hide", hide),
        _second(at) if at is not None else None,
    )

    def make(reader: Recommender, moment: Moment) -> WhatIf:
        now = int(moment.now)
        imagined, then = _imagine(listener, change, now)
        first = _list(reader, listener, now, limit, discover)
        second = _list(reader, imagined, then, limit, discover)
        when = datetime.fromtimestamp(then, UTC).isoformat()
        return WhatIf(
            user, moment.generation, moment.offset, when,
            _placed(first, second), _placed(second, first),
        )  # fmt: skip

    return json_reply(await services.slow.run(live, make))


def _imagine(listener: Listener, change: Change, now: int) -> tuple[Listener, int]:
    """Return the listener's window after a change, and the moment of the imagined list."""
    then = now if change.at is None else change.at
    tracks, seconds, ratios = listener.tracks, listener.seconds, listener.ratios
    kept = np.ones(len(tracks), bool)
    if change.at is not None and change.at < now:
        kept &= seconds <= change.at
    if change.without is not None:
        key, second = change.without
        out = (tracks == np.uint64(key)) & (seconds == second)
        if not out.any():
            raise ApiError(
                404, "not-in-window",
                "Lists are made from a listener's last plays; this play is not one of them.",
                field="without",
            )  # fmt: skip
        kept &= ~out
    tracks, seconds, ratios = tracks[kept], seconds[kept], ratios[kept]
    hidden = listener.hidden
    if change.play is not None:
        tracks = np.append(tracks, np.uint64(change.play))
        seconds = np.append(seconds, np.int64(then))
        ratios = np.append(ratios, np.uint8(_HEARD))
    if change.hide is not None:
        hidden = np.append(hidden, np.uint64(change.hide))
    return Listener(seconds=seconds, tracks=tracks, ratios=ratios, hidden=hidden), then


def _list(
    reader: Recommender, listener: Listener, now: int, limit: int, discover: bool
) -> list[tuple[str, str, str]]:
    ranking = reader.recommend(
        listener.tracks,
        listener.seconds,
        listener.ratios,
        now=now,
        k=limit,
        discover=discover,
        hidden=listener.hidden,
    )
    document_of = documents_of(reader)
    found = [document_of(row) for row in ranking.indices.tolist()]
    return [(each.track_id, each.artist, each.title) for each in found if each is not None]


def _placed(shown: list[tuple[str, str, str]], other: list[tuple[str, str, str]]) -> list[Placed]:
    places = {track[0]: place for place, track in enumerate(other, 1)}
    return [Placed(*track, place, places.get(track[0])) for place, track in enumerate(shown, 1)]


def _known(reader: Recommender, field: str, track: str | None) -> int | None:
    if not track:
        return None
    key = key_of(reader, track)
    if key is None:
        raise ApiError(404, "unknown-track", f"The model does not know {track!r}.", field=field)
    return key


def _second(at: datetime) -> int:
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if abs(at - datetime.now(UTC)) > _FAR:
        raise ApiError(400, "bad-moment", "Choose a moment within a year of now.", field="at")
    return int(at.timestamp())


async def _play_of(services: Services, user: str, event: UUID) -> tuple[int, int]:
    """Return key and second of a play of the history."""
    rows = await rows_of(services, _PLAY, {"user": user, "event": event})
    if not rows:
        raise ApiError(404, "unknown-play", "There is no such play in this history.")
    artist, title, played = rows[0]
    return track_key(artist, title), int(played.timestamp())
