"""What the model knows apart from listeners: similar tracks, and itself."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from api.errors import ApiError
from api.serving.lookup import document_at, key_of
from api.web import Caller, With, answers, json_reply
from online_model import Recommender

router = APIRouter(prefix="/v1", tags=["serving"])
Limit = Annotated[int, Query(ge=1, le=100)]


class Scored(msgspec.Struct):
    """A track with the strength by which the list is ordered."""

    track_id: str
    artist: str
    title: str
    score: float


class Similar(msgspec.Struct):
    """Tracks that sessions and listeners share most with one track."""

    track_id: str
    generation: int
    tracks: list[Scored]


class ModelInfo(msgspec.Struct):
    """The model in force.

    ``offsets`` say up to where each partition of each log is learned; ``health`` how good the
    lists have been lately, by the learner's own trials; ``views`` which generations of the nightly
    batch view and of content are in its tables (0: none).
    """

    ready: bool
    generation: int
    tracks: int
    plays_learned: int
    clock: int
    offsets: dict[str, int]
    health: dict[str, Any]
    views: dict[str, int] = {}


@router.get("/tracks/{track_id:path}/similar", responses=answers(Similar), summary="More like this")
async def similar(services: With, _: Caller, track_id: str, limit: Limit = 20) -> Response:
    """Return the tracks closest to a track; 404 when the model does not know it."""
    reader = services.model.reader
    key = key_of(reader, track_id)
    if reader is None or key is None:
        raise ApiError(404, "unknown-track", f"The model does not know the track {track_id!r}.")
    return json_reply(
        Similar(track_id, reader.generation, _scored(reader, reader.similar(key, limit)))
    )


@router.get("/model", responses=answers(ModelInfo), summary="Which model answers")
async def model(services: With, _: Caller) -> Response:
    """Return what model is mapped and how far it has learned."""
    reader = services.model.reader
    if reader is None:
        return json_reply(ModelInfo(False, 0, 0, 0, 0, {}, {}))
    offsets = {f"{log}:{partition}": at for (log, partition), at in reader.offsets.items()}
    return json_reply(
        ModelInfo(
            True,
            reader.generation,
            reader.tracks,
            reader.plays_learned,
            reader.clock,
            offsets,
            reader.health(drift=False) | _drift(services.workers.quality()),
            reader.views,
        )
    )


def _drift(quality: dict[str, float]) -> dict[str, Any]:
    """Return the learner's latest drift report; ``{"drift": null}`` before the first one."""
    if "drift_found" not in quality:
        return {"drift": None}
    found = bool(quality["drift_found"])
    ago = int(quality["drift_trials_ago"]) if found else None
    return {"drift": {"found": found, "trials_ago": ago}}


def _scored(reader: Recommender, found: list[tuple[int, float]]) -> list[Scored]:
    tracks = []
    for index, score in found:
        document = document_at(reader, index)
        if document is not None:
            tracks.append(Scored(document.track_id, document.artist, document.title, score))
    return tracks
