"""docker-compose.yml as compose reads it: with the values of variables put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.conftest import ROOT

COMPOSE = ROOT / "docker-compose.yml"
#: ``$$``, ``${NAME}`` or ``${NAME<operator>word}``: ``:-``, ``-``, ``:?``, ``?``.
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?)([-?])([^}]*))?\})")


def interpolated(text: str, environ: Mapping[str, str]) -> str:
    """Return text with its variables replaced.

    Raises
    ------
    ValueError
        A variable that must be set is not.
    """

    def value(match: re.Match[str]) -> str:
        dollar, name, colon, operator, word = match.groups()
        if dollar:
            return "$"
        given = environ.get(name)
        if given or (given is not None and not colon):  # a colon: empty counts as not set
            return given
        if operator == "?":
            raise ValueError(f"{name}: {word}")
        return word or ""

    return _VARIABLE.sub(value, text)


def services(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the services by name, with the values of ``environ`` put in."""
    document = _filled(yaml.safe_load(COMPOSE.read_text()), environ)
    found: dict[str, Any] = document["services"]
    return found


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, environ) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, environ) for each in value]
    return interpolated(value, environ) if isinstance(value, str) else value
