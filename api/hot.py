"""The hot endpoints: where they are found, and how they stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.edge import Hot
from api.listenbrainz.replies import ListensIn, Submitted
from api.listenbrainz.submit import ROUTE as SUBMIT_ROUTE
from api.listenbrainz.submit import SubmitListens
from api.plays.submit import ROUTE as PLAYS_ROUTE
from api.plays.submit import SubmitPlays
from api.plays.wire import PlaysIn, PlaysOut
from api.services import Services
from api.serving.asked import DEFAULT_LIMIT, MAX_LIMIT, Recommendations
from api.serving.recommend import PREFIX, SUFFIX, Recommend, price_of
from api.serving.recommend import ROUTE as RECOMMEND_ROUTE
from api.web import SCHEME, answers, body_of

# Clients disagree on whether the base URL ends in /1, and on slashes.
_SUBMIT_PATHS = (
    "/1/submit-listens",
    "/1/submit-listens/",
    "/submit-listens",
    "/1/1/submit-listens",
)


class HotPaths:
    """Finds the hot endpoint of a request."""

    def __init__(self, services: Services) -> None:
        listens = Hot(SUBMIT_ROUTE, SubmitListens(services), listenbrainz=True)
        self._exact = {("POST", path): listens for path in _SUBMIT_PATHS}
        self._exact["POST", PLAYS_ROUTE] = Hot(PLAYS_ROUTE, SubmitPlays(services))
        self._recommend = Hot(RECOMMEND_ROUTE, Recommend(services), price=price_of)

    def find(self, method: str, path: str) -> Hot | None:
        """Return the endpoint, ``None`` when FastAPI routes this request."""
        if method == "GET":
            hot = path.startswith(PREFIX) and path.endswith(SUFFIX)
            return self._recommend if hot and len(path) > len(PREFIX) + len(SUFFIX) else None
        return self._exact.get((method, path))


#: Describes the endpoints in the OpenAPI document.
router = APIRouter(dependencies=[SCHEME])


def _answered_before() -> Response:
    raise AssertionError("the edge answers this path before it is routed")


@router.post(
    PLAYS_ROUTE,
    tags=["ingest"],
    status_code=202,
    summary="Post plays",
    responses={
        **answers(PlaysOut, 202, "At least one play is in the log, acknowledged."),
        **answers(PlaysOut, 400, "Every play was refused (or the body could not be read)."),
    },
    openapi_extra=body_of(PlaysIn),
)
async def plays() -> Response:
    """Record plays; the answer is sent once the broker has acknowledged all of them.

    Sending the same plays again is harmless. Refused plays are kept as dead letters.
    """
    return _answered_before()


@router.post(
    SUBMIT_ROUTE,
    tags=["ListenBrainz"],
    summary="Submit listens",
    responses=answers(Submitted),
    openapi_extra=body_of(ListensIn),
)
async def submit_listens(return_msid: bool = False) -> Response:
    """Record listens as ListenBrainz does: all of a request or none."""
    return _answered_before()


@router.get(
    RECOMMEND_ROUTE,
    tags=["serving"],
    summary="What next?",
    responses=answers(Recommendations),
)
async def recommendations(
    user: Annotated[str, Path(max_length=256)],
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    discover: bool = False,
    explain: bool = False,
    diversity: Annotated[float, Query(ge=0, le=1)] = 0.0,
) -> Response:
    """Return what this listener may want to hear next.

    ``discover`` leaves out the tracks of the last plays. ``explain`` adds each track's reasons;
    ``diversity`` gives up to all of the order for tracks unlike those above them. A list with
    either counts for one request, and one more for each five tracks, in the rate limit. The reasons
    of one track are at ``/v1/users/{user}/tracks/{track_id}/reasons``.
    """
    return _answered_before()
