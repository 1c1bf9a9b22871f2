"""Our live recommendations through ListenBrainz's own endpoint."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from api.errors import unavailable
from api.listenbrainz.limits import MAX_ITEMS
from api.listenbrainz.mapping import mbid_of
from api.listenbrainz.queries import check_known, page_of, reader_of
from api.listenbrainz.ranked import rank_now, readable
from api.serving.lookup import document_at
from api.web import SCHEME, With, json_reply
from contracts.errors import StoreUnavailable
from online_model import Recommender

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])


@router.get("/cf/recommendation/user/{user}/recording", summary="Recommended recordings")
async def recommended(
    request: Request,
    services: With,
    user: str,
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return recordings for a listener, best first; 204 only for one who never played anything.

    The list is live, and empty while there is no model. Recordings without a MusicBrainz id cannot
    be named here and are left out; ``/v1/users/{user}/recommendations`` has them.
    """
    await reader_of(request, services, user)
    wanted, skipped = page_of(count, offset)
    await check_known(services, user)
    try:
        blob = await services.features.get(user)
    except StoreUnavailable:
        raise unavailable("The listener's plays cannot be read") from None
    if blob is None:
        return Response(status_code=204)
    reader, generation = services.model.reader, services.model.generation
    found: list[dict[str, Any]] = []
    if reader is not None:
        # A thousand tracks take milliseconds, which the event loop must not spend.
        found, generation = await services.slow.run(
            reader, lambda model, moment: (_recommended(model, blob), moment.generation)
        )
    shown = found[skipped : skipped + wanted]
    payload = {
        "mbids": shown,
        "entity": "recording",
        "user_name": user,
        "count": len(shown),
        "total_mbid_count": len(found),
        "offset": skipped,
        "last_updated": int(time.time()),
        "model_id": f"segue-{generation}",
        "model_url": "/v1/model",
    }
    return json_reply({"payload": payload})


def _recommended(reader: Recommender, blob: bytes) -> list[dict[str, Any]]:
    ranking = rank_now(reader, readable(blob), MAX_ITEMS)
    found = []
    for index, score in zip(ranking.indices.tolist(), ranking.scores.tolist(), strict=True):
        known = document_at(reader, index)
        if known and (mbid := mbid_of(known.track_id, known.artist, known.title)):
            found.append({"recording_mbid": mbid, "score": score})
    return found
