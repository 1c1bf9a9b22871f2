"""Publishes the JSON Schemas of the messages: ``python -m contracts.schema`` rewrites them.

The files lie in ``contracts/schemas/``; a test fails when they no longer match the classes.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from contracts.erasures import Erasure
from contracts.events import DeadLetter, Feedback, Submission
from contracts.impressions import Impression, ImpressionV1
from contracts.results import Late, Session, Trending, Uniques
from contracts.suspects import Suspect

FOLDER = Path(__file__).parent / "schemas"
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


def render(message: type[msgspec.Struct]) -> str:
    """Return the JSON Schema (draft 2020-12) of a message as text."""
    schema = _unindented(msgspec.json.schema(message))
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(document, indent=2) + "\n"


def _unindented(value: Any) -> Any:
    """Return a schema whose descriptions have no indentation: Python 3.13 removes it, 3.12 not."""
    if isinstance(value, list):
        return [_unindented(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: inspect.cleandoc(item)
        if key == "description" and isinstance(item, str)
        else _unindented(item)
        for key, item in value.items()
    }


def main() -> None:
    """Write every schema file."""
    FOLDER.mkdir(exist_ok=True)
    for name, message in MESSAGES.items():
        (FOLDER / f"{name}.json").write_text(render(message))


if __name__ == "__main__":
    main()
