"""Settings read from environment variables, or from the files that ``<NAME>_FILE`` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.errors import ConfigurationError


def variable(env: Mapping[str, str], name: str) -> str | None:
    """Return a variable; where it is empty or not set, what the file of ``<name>_FILE`` holds.

    Raises
    ------
    ConfigurationError
        The file cannot be read.

    Examples
    --------
    >>> variable({"SEGUE_PORT": "8000"}, "SEGUE_PORT"), variable({}, "SEGUE_PORT")
    ('8000', None)
    """
    text = env.get(name)
    if text or not (file := env.get(f"{name}_FILE")):
        return text
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}_FILE: cannot read {file}: {error}") from None


def converted(name: str, text: str, kind: type[Any]) -> Any:
    """Return the text of a variable as a number, a path, ...

    Raises
    ------
    ConfigurationError
        It is none; the message names the variable.
    """
    try:
        return kind(text)
    except ValueError:
        raise ConfigurationError(f"{name}={text!r} is not a valid {kind.__name__}") from None
