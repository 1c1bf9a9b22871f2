"""Is this body a submission? Every check of the protocol, in its order, with its exact message."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from api.errors import ApiError
from api.listenbrainz.fields import check_additional_info, check_names, check_null
from api.listenbrainz.limits import MAX_BODY, MAX_LISTEN_BYTES, MAX_LISTENS, OLDEST, SKEW

LISTEN_TYPES = ("single", "import", "playing_now")
#: Deepest nesting of what a client sends besides the known fields.
MAX_DEPTH = 32
#: What JSON nests; the decoder makes exactly these.
_CONTAINERS = (dict, list)


class Submitted(NamedTuple):
    """A valid body of ``submit-listens``: its ``listen_type``, and its listens with clean texts."""

    listen_type: str
    listens: list[dict[str, Any]]


def refuse(message: str) -> ApiError:
    """Return a 400 with this message."""
    return ApiError(400, "bad-listen", message)


def too_large() -> ApiError:
    """Return the refusal of a body that is too large to be read."""
    return refuse(f"Payload too large. Payload cannot exceed {MAX_BODY} bytes")


def listen_too_large() -> ApiError:
    """Return the refusal of listens that are too large, all together or one of them."""
    return refuse(
        f"JSON document is too large. Each listens may not be larger than {MAX_LISTEN_BYTES} bytes."
    )


def validate(body: bytes, now: float) -> Submitted:
    """Check a body of POST /1/submit-listens.

    Parameters
    ----------
    now
        Seconds since the epoch.

    Raises
    ------
    ApiError
        400 with the message of the first check that fails: one bad listen refuses them all.
    """
    if len(body) > MAX_BODY:
        raise too_large()
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise refuse(f"Cannot parse JSON document: {error}") from None
    if not isinstance(document, dict):
        raise refuse(
            "Invalid JSON document submitted. Top level of JSON document should be a json object."
        )
    if "payload" not in document or "listen_type" not in document:
        raise refuse("Invalid JSON document submitted.")
    listen_type, payload = document["listen_type"], document["payload"]
    if not isinstance(payload, list):
        raise refuse("The payload in the JSON document should be a list of listens.")
    if not payload:
        raise refuse("JSON document does not contain any listens")
    if len(payload) > MAX_LISTENS:
        raise refuse(
            f"Too many listens. You may not submit more than {MAX_LISTENS} listens at once."
        )
    if len(body) > len(payload) * MAX_LISTEN_BYTES:
        raise listen_too_large()
    if listen_type not in LISTEN_TYPES:
        raise refuse("JSON document requires a valid listen_type key.")
    if listen_type != "import" and len(payload) > 1:
        raise refuse(
            "JSON document contains more than listen for a single/playing_now. "
            "It should contain only one."
        )
    nulls = b"\\u0000" in body
    for listen in payload:
        _check_listen(listen, listen_type, now)
        if nulls:
            check_null(listen)
    return Submitted(listen_type, payload)


def _check_listen(listen: Any, listen_type: str, now: float) -> None:
    if not isinstance(listen, dict):
        raise refuse("Listen is empty and cannot be validated.")
    if listen_type == "playing_now":
        if "listened_at" in listen:
            raise refuse("JSON document must not contain listened_at while submitting playing_now.")
        _check_keys(listen, 1, "JSON document may only contain track_metadata as top level key")
    else:
        _check_listened_at(listen, now)
        _check_keys(
            listen,
            2,
            "JSON document may only contain listened_at and track_metadata top level keys",
        )
    metadata = listen["track_metadata"]
    if metadata is None:
        raise refuse("JSON document may not have track_metadata with null value.")
    if not isinstance(metadata, dict):
        raise refuse("JSON document must contain the key track_metadata as an object.")
    check_names(metadata)
    info = metadata.get("additional_info")
    if not info:  # PHP writes an empty object as []
        metadata.pop("additional_info", None)
    elif not isinstance(info, dict):
        raise refuse("track_metadata.additional_info must be an object.")
    else:
        check_additional_info(info)
    if _depth(metadata) > MAX_DEPTH:
        raise refuse(f"track_metadata is nested deeper than {MAX_DEPTH} levels.")


def _check_keys(listen: dict[str, Any], allowed: int, message: str) -> None:
    if "track_metadata" not in listen:
        raise refuse("JSON document must contain the key track_metadata at the top level.")
    if len(listen) > allowed:
        raise refuse(message)


def _check_listened_at(listen: dict[str, Any], now: float) -> None:
    if "listened_at" not in listen:
        raise refuse("JSON document must contain the key listened_at at the top level.")
    value = listen["listened_at"]
    if isinstance(value, str) and value.isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse("JSON document must contain an int value for listened_at.")
    if value >= now + SKEW:
        raise refuse("Value for key listened_at is too high.")
    if value < OLDEST:
        raise refuse(
            "Value for key listened_at is too low. listened_at timestamp should be greater than "
            "1033410600 (2002-10-01 00:00:00 UTC)."
        )
    listen["listened_at"] = value


def _depth(value: Any) -> int:
    """Return how deep containers nest; counts no further than the limit allows."""
    deepest = 0
    level = [value]
    while level and deepest <= MAX_DEPTH:
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) in _CONTAINERS
        ]
        deepest += 1
    return deepest
