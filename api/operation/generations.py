"""GET /v1/model/generations: the nightly models that are kept, and which one is in service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
from fastapi import APIRouter, Request, Response

from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError, unavailable
from api.operation.exclusive import alone
from api.services import Services
from api.web import Caller, With, answers, json_reply
from contracts import generations as kept
from contracts.accounts import ADMIN, ADMIN_ROLE, ANALYST_ROLE
from contracts.audit import entry
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.generations import Generation
from contracts.publication import BATCH_VIEW, Publication

router = APIRouter(prefix="/v1/model", tags=["model"])


class Generations(msgspec.Struct):
    """Generations of the nightly model that are stored, the newest first.

    ``in_use`` is the number of the generation that the online model of this host reads now. If
    another one is put into service, the online model reads that one within seconds. ``None``: the
    online model reads none.
    """

    generations: list[Generation]
    in_use: int | None


class PutIntoService(msgspec.Struct):
    """Answer of a promotion or rollback of the nightly model.

    ``generation`` is in service now; ``before`` is the number of the generation that was in service
    before, ``None`` if there was none.
    """

    generation: Generation
    before: int | None


@router.get("/generations", responses=answers(Generations), summary="Nightly models")
async def generations(services: With, caller: Caller) -> Response:
    """List the generations of the nightly model, each with its scores on its held-out day."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await asyncio.to_thread(kept.generations, services.settings.paths.batch_view)
    return json_reply(Generations(found, _in_use(services)))


@router.post(
    "/generations/{generation}/promote",
    responses=answers(PutIntoService),
    summary="Put a nightly model into service",
)
async def promote(request: Request, services: With, caller: Caller, generation: int) -> Response:
    """Put a stored generation into service (administrators); the learner loads it in seconds."""
    return await _change(
        request, services, caller, "model.promote", lambda path: kept.promote(path, generation)
    )


@router.post("/rollback", responses=answers(PutIntoService), summary="Go back one nightly model")
async def roll_back(
    request: Request, services: With, caller: Caller, current: int | None = None
) -> Response:
    """Put the generation that was in service before back into service (administrators).

    If `current` is given, nothing changes unless that generation is in service. So a request that a
    client repeats goes back only once.
    """

    def back(folder: Path) -> Generation:
        service = kept.in_service(folder)
        if current is not None and service != current:
            raise ConfigurationError(
                f"refused: generation {service} is in service, not {current} any more"
            )
        return kept.roll_back(folder)

    return await _change(request, services, caller, "model.roll-back", back)


async def _change(
    request: Request,
    services: Services,
    caller: Identity,
    action: str,
    change: Callable[[Path], Generation],
) -> Response:
    caller.check_role(ADMIN_ROLE)
    folder = services.settings.paths.batch_view
    async with alone(services, "batch-view", "The model in service is changed") as trail:
        before = kept.in_service(folder)
        try:
            found = await asyncio.to_thread(_published, services, change)
        except ConfigurationError as error:
            raise ApiError(409, "not-possible", f"{error}.") from None
        except StoreUnavailable as error:
            raise unavailable(f"The change was not published ({error})") from None
        except OSError as error:
            raise unavailable(f"{folder} cannot be written ({error.strerror})") from None
        trail.append(
            entry(
                caller.user_id, action, ADMIN, origin_of(request),
                generation=found.generation, before=before,
            )
        )  # fmt: skip
    return json_reply(PutIntoService(found, before))


def _published(services: Services, change: Callable[[Path], Generation]) -> Generation:
    settings = services.settings
    with Publication(settings).changing(BATCH_VIEW):
        return change(settings.paths.batch_view)


def _in_use(services: Services) -> int | None:
    reader = services.model.reader
    return None if reader is None else reader.views.get("batch")
