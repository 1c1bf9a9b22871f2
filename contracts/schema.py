"""Publishes the JSON Schemas of the messages: ``python -m contracts.schema``.

``contracts/schemas/published/`` keeps every shape that a message ever had; a test fails when the
newest one does not match the class. A class that could not read one of them is not published
(:mod:`contracts.compatibility`): it needs a new version, such as ``impression.v2``. Each file name
contains the digest of the file, so that a change is detected.

``python -m contracts.schema submission.v1`` prints the schema of a message with its descriptions.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from contracts.compatibility import Schema, unreadable
from contracts.erasures import Erasure
from contracts.errors import IncompatibleState
from contracts.events import DeadLetter, Feedback, Submission
from contracts.impressions import Impression, ImpressionV1
from contracts.results import Late, Session, Trending, Uniques
from contracts.suspects import Suspect

PUBLISHED = Path(__file__).parent / "schemas" / "published"
MESSAGES: dict[str, type[msgspec.Struct]] = {
    "submission.v1": Submission,
    "feedback.v1": Feedback,
    "impression.v1": ImpressionV1,
    "impression.v2": Impression,
    "dead-letter.v1": DeadLetter,
    "erasure.v1": Erasure,
    "trending.v1": Trending,
    "session.v1": Session,
    "uniques.v1": Uniques,
    "late.v1": Late,
    "suspect.v1": Suspect,
}


def shape(message: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of a message without its descriptions."""
    found: Schema = _undescribed(msgspec.json.schema(message))
    return found


def _undescribed(value: Any) -> Any:
    if isinstance(value, list):
        return [_undescribed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _undescribed(item)
        for key, item in value.items()
        if not (key == "description" and isinstance(item, str))
    }


def published(name: str, folder: Path = PUBLISHED) -> list[Schema]:
    """Return every published shape of a message, the oldest first.

    Raises
    ------
    IncompatibleState
        A file was changed or is missing.
    """
    found = []
    for number, path in enumerate(sorted((folder / name).glob("*.json")), start=1):
        text = path.read_text()
        if path.name != _file_name(number, text):
            raise IncompatibleState(
                f"{name}/{path.name} is not what was published: restore it, and publish the change "
                "as a new file by `python -m contracts.schema`"
            )
        found.append(json.loads(text))
    return found


def incompatible(name: str, new: Schema, folder: Path = PUBLISHED) -> list[str]:
    """Return why ``new`` may refuse old messages, or the previous shape may refuse new ones."""
    earlier = published(name, folder)
    found = [
        f"{text} (as of {n})" for n, old in enumerate(earlier, 1) for text in unreadable(new, old)
    ]
    if earlier:
        found += [f"{text} (for a worker not updated yet)" for text in unreadable(earlier[-1], new)]
    return found


def publish(name: str, new: Schema, folder: Path = PUBLISHED) -> None:
    """Store the shape of a message unless it equals the newest stored one.

    Raises
    ------
    IncompatibleState
        Messages would be refused; the message names the field. Nothing was written.
    """
    if refused := incompatible(name, new, folder):
        raise IncompatibleState(f"{name} needs a new version: {'; '.join(refused)}")
    earlier = published(name, folder)
    if not earlier or earlier[-1] != new:
        text = json.dumps(new, sort_keys=True) + "\n"
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / _file_name(len(earlier) + 1, text)).write_text(text)


def _file_name(number: int, text: str) -> str:
    return f"{number:03d}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"


def main(*names: str) -> None:
    """Print the schemas of some messages; without a name, publish the shape of every message."""
    for name in names:
        print(json.dumps(msgspec.json.schema(MESSAGES[name]), indent=2))  # noqa: T201
    if not names:
        for name, message in MESSAGES.items():
            publish(name, shape(message))


if __name__ == "__main__":
    main(*sys.argv[1:])
