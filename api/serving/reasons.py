"""GET /v1/users/{user}/tracks/{track}/reasons: why one track is in a listener's list."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response

from api.audit import origin_of
from api.errors import ApiError
from api.serving.explain import ReasonOut, documents_of, reasons_in_words
from api.serving.held import model_and_plays
from api.serving.lists import Moment
from api.serving.recommend import LONGEST_NAME, check_name
from api.web import Caller, With, answers, json_reply
from contracts.features import Listener
from contracts.ids import id_key
from online_model import Recommender

router = APIRouter(prefix="/v1", tags=["serving"])


class TrackReasons(msgspec.Struct):
    """Why a track is in the list a listener would get now; the contributions add up to ``score``.

    ``generation`` and ``offset`` say which model answered and how much of the log it had learned;
    ``stranger`` that no play of this listener is known.
    """

    user: str
    track_id: str
    artist: str
    title: str
    generation: int
    offset: int
    stranger: bool
    score: float
    reasons: list[ReasonOut]


@router.get(
    "/users/{user}/tracks/{track_id:path}/reasons",
    responses=answers(TrackReasons),
    summary="Why this track?",
)
async def reasons(
    request: Request,
    services: With,
    caller: Caller,
    user: Annotated[str, Path(max_length=LONGEST_NAME)],
    track_id: str,
    discover: bool = False,
) -> Response:
    """Explain one track of the list that this listener would get now.

    A list shown earlier may rest on fewer plays than are known now. Set ``discover`` if the
    track is from a list made with ``discover``. A track that was just played, or that the listener
    hides, is explained as well. 404 with ``not-proposed``: no source proposes this track to the
    listener any more. Reading the reasons of another listener is noted in the audit trail.
    """
    caller.check_acts_for(user)
    check_name(user)
    if caller.user_id != user:
        await services.audit.note_reading(caller.user_id, user, origin_of(request))
    live, held = await model_and_plays(services, user)

    def make(reader: Recommender, moment: Moment) -> TrackReasons:
        return explain_track(reader, user, held, track_id, discover, moment)

    return json_reply(await services.slow.run(live, make))


def explain_track(
    reader: Recommender, user: str, blob: bytes, track_id: str, discover: bool, moment: Moment
) -> TrackReasons:
    """Return the reasons of one track; raise a 404 if it is unknown or not proposed."""
    index = int(reader.lookup([id_key(track_id)])[0])
    document_of = documents_of(reader)
    track = document_of(index) if index >= 0 else None
    if track is None:
        raise ApiError(404, "unknown-track", f"The model does not know the track {track_id!r}.")
    listener = Listener.unpack(blob)
    found = reader.explain(
        listener.tracks,
        listener.seconds,
        listener.ratios,
        now=int(moment.now),
        index=index,
        discover=discover,
    )
    if found is None:
        raise ApiError(
            404,
            "not-proposed",
            "No source proposes this track to this listener now: ask for a list.",
        )
    score = round(found.score, 4)
    return TrackReasons(
        user,
        track.track_id,
        track.artist,
        track.title,
        moment.generation,
        moment.offset,
        found.stranger,
        score,
        reasons_in_words(document_of, index, score, found.reasons),
    )
