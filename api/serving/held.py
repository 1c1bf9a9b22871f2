"""The model and what the feature store holds of one listener, for endpoints that explain lists."""

from __future__ import annotations

from api.errors import unavailable
from api.services import Services
from api.serving.lists import sound
from contracts.errors import StoreUnavailable
from online_model import Recommender


async def model_and_plays(services: Services, user: str) -> tuple[Recommender, bytes]:
    """Return the mapped model and the listener's packed plays (no plays for a stranger).

    Raises
    ------
    ApiError
        503: there is no model, or the plays cannot be read.
    """
    live = services.model.reader
    if live is None:
        raise unavailable("There is no model yet")
    try:
        (blob,) = await services.features.get_many([user])
    except StoreUnavailable:
        raise unavailable("What the listener has played cannot be read") from None
    held, torn = sound(blob)
    if torn:
        raise unavailable("What the listener has played cannot be read")
    return live, held
