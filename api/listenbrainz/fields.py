"""The checks inside ``track_metadata``: names, tags, durations, MusicBrainz ids, NUL."""

from __future__ import annotations

import re
from typing import Any

from api.errors import ApiError
from api.listenbrainz.limits import MAX_DURATION, MAX_TAG_CHARACTERS, MAX_TAGS
from contracts.placeholders import is_visible

_REQUIRED = ("artist_name", "track_name")
_MBID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)
SINGLE_MBIDS = ("release_mbid", "recording_mbid", "release_group_mbid", "track_mbid")
LISTED_MBIDS = ("artist_mbids", "work_mbids")
_DURATIONS = {
    "duration": MAX_DURATION,
    "duration_ms": MAX_DURATION * 1000,
    "duration_played": MAX_DURATION,
}


def _refuse(message: str) -> ApiError:
    return ApiError(400, "bad-listen", message)


def check_names(metadata: dict[str, Any]) -> None:
    """Check artist, track and release names; an empty release name is dropped."""
    for name in (*_REQUIRED, "release_name"):
        if name not in metadata:
            continue
        value = metadata[name]
        if name == "release_name" and (
            value is None or (isinstance(value, str) and not value.strip())
        ):
            del metadata[name]
            continue
        if not isinstance(value, str):
            raise _refuse(f"track_metadata.{name} must be a single string.")
        metadata[name] = value.strip()
        if not metadata[name]:
            raise _refuse(f"field track_metadata.{name} is empty.")
        if not is_visible(metadata[name]):
            raise _refuse(f"field track_metadata.{name} consists of invisible characters.")
    for name in _REQUIRED:
        if name not in metadata:
            raise _refuse(f"JSON document does not contain required field track_metadata.{name}.")


def check_additional_info(info: dict[str, Any]) -> None:
    """Check the fields with a known meaning; null and empty MusicBrainz ids are dropped."""
    _check_tags(info)
    _check_durations(info)
    for name in SINGLE_MBIDS:
        if name in info:
            if not info[name]:
                del info[name]
            elif not _is_mbid(info[name]):
                raise _refuse(f"{name} MBID format invalid.")
    for name in LISTED_MBIDS:
        if name in info:
            if not info[name]:
                del info[name]
                continue
            if not isinstance(info[name], list):
                raise _refuse(f"{name} MBID format invalid.")
            info[name] = [mbid for mbid in info[name] if mbid]
            if not all(_is_mbid(mbid) for mbid in info[name]):
                raise _refuse(f"{name} MBID format invalid.")


def _is_mbid(value: object) -> bool:
    return isinstance(value, str) and _MBID.fullmatch(value) is not None


def _check_tags(info: dict[str, Any]) -> None:
    tags = info.get("tags")
    if tags is None:
        return
    if not isinstance(tags, list):
        raise _refuse("track_metadata.additional_info.tags must be a list of strings.")
    if len(tags) > MAX_TAGS:
        raise _refuse(
            f"JSON document may not contain more than {MAX_TAGS} items in "
            "track_metadata.additional_info.tags."
        )
    if any(len(str(tag)) > MAX_TAG_CHARACTERS for tag in tags):
        raise _refuse(
            "JSON document may not contain track_metadata.additional_info.tags longer than "
            f"{MAX_TAG_CHARACTERS} characters."
        )


def _check_durations(info: dict[str, Any]) -> None:
    if "duration" in info and "duration_ms" in info:
        raise _refuse("JSON document should not contain both duration and duration_ms.")
    for name, most in _DURATIONS.items():
        if name not in info:
            continue
        value = _whole(info[name])
        if value is None and name == "duration_played":
            continue  # the protocol does not check it; what is not a number stays as it is
        if value is None or value <= 0:
            if name == "duration_played" and value is not None:
                continue
            raise _refuse(f"Value for {name} is invalid, should be a positive integer.")
        if value > most and name != "duration_played":
            raise _refuse(f"Value for {name} is too large, max permitted value is {most}")
        info[name] = value


def _whole(value: object) -> int | None:
    """Return a number, or the number a string spells, cut to an integer; else ``None``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        return (
            int(float(value)) if isinstance(value, float | str) and len(str(value)) < 40 else None
        )
    except (ValueError, OverflowError):
        return None


def check_null(value: object) -> None:
    """Refuse a text with the character NUL anywhere in a listen, keys included."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise _refuse(f"{item} contains a unicode null")
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
