"""POST /2.0/: one address for every method, XML or JSON."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.audit import origin_of
from api.http import read_body
from api.lastfm.errors import LastfmError
from api.lastfm.methods import ROUTE, call
from api.lastfm.params import MAX_BODY, Params
from api.lastfm.tree import failure, success
from api.web import With

router = APIRouter(tags=["Last.fm"])
_FORM = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["method"],
                    "properties": {
                        "method": {"type": "string", "examples": ["track.scrobble"]},
                        "format": {"type": "string", "enum": ["xml", "json"]},
                        "sk": {"type": "string", "description": "Session key, or an API token."},
                    },
                }
            }
        }
    }
}


@router.get("/2.0", include_in_schema=False)
@router.get("/2.0/", include_in_schema=False)
@router.post("/2.0", include_in_schema=False)
@router.post(ROUTE, summary="Last.fm Web Services", openapi_extra=_FORM)
async def web_services(request: Request, services: With) -> Response:
    """Answer a call of Last.fm's API; point a player's custom Last.fm address here.

    The password is any API token of the account (players that hash passwords need one made with
    ``segue keys create USER --scrobbler``); a token also works as the session key.
    """
    body = await read_body(request.scope, request.receive, MAX_BODY)
    as_json = False
    try:
        params = Params.read(request.scope["query_string"], body, origin_of(request))
        as_json = params.as_json
        made, status = success(await call(services, params), as_json), 200
    except LastfmError as error:
        made, status = failure(error.code, error.message, as_json), error.status
    kind = "application/json" if as_json else "text/xml; charset=utf-8"
    headers = {"access-control-allow-origin": "*"}
    if status == 503:
        headers["retry-after"] = "2"
    return Response(made, status, headers, media_type=kind)
