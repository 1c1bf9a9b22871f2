"""Settings declared once, as fields of frozen dataclasses, and read from environment variables.

A group of settings is a frozen dataclass with a ``PREFIX``; each field is declared with
:func:`setting`. The variable of a field is the prefix and the field's name in capitals. Where a
variable is empty or not set, the file that ``<NAME>_FILE`` names is read: that is how secrets come.

Plain dataclasses, because every command and every worker reads settings when it starts
(docs/adr/0018-settings-are-dataclasses.md).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from contracts.errors import ConfigurationError

REFERENCE = "docs/settings.md"
_WORDS = {int: "a whole number", float: "a number", bool: "0 or 1", Path: "a path", str: "a text"}
_SWITCH = {"1": True, "true": True, "0": False, "false": False}


class Group(Protocol):
    """A frozen dataclass of settings.

    Examples
    --------
    >>> @dataclass(frozen=True, slots=True)
    ... class Cache:
    ...     PREFIX: ClassVar[str] = "CACHE_"
    ...     seconds: float = setting(30.0, "Lifetime of an entry.", rule=Rule(above=0))
    >>> read(Cache, {"CACHE_SECONDS": "5"}).seconds, read(Cache, {}).seconds
    (5.0, 30.0)
    """

    PREFIX: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


G = TypeVar("G", bound=Group)


@dataclass(frozen=True, slots=True)
class Rule:
    """Restrictions of a value besides its type.

    Attributes
    ----------
    low, high
        Smallest and largest value.
    above, below
        Bounds that the value must not reach.
    choices
        The only texts allowed.

    Examples
    --------
    >>> share = Rule(low=0, below=1)
    >>> str(share), share.allows(0), share.allows(1)
    ('at least 0, below 1', True, False)
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = {"at least": self.low, "at most": self.high, "above": self.above,
                 "below": self.below}  # fmt: skip
        parts = [f"{word} {bound:g}" for word, bound in words.items() if bound is not None]
        return ", ".join([*parts, *([f"one of {', '.join(self.choices)}"] if self.choices else [])])

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type is allowed."""
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (not self.choices or value in self.choices)
        )


_ANY = Rule()


def setting(default: Any, text: str, *, secret: bool = False, rule: Rule = _ANY) -> Any:
    """Declare a field of a group.

    Parameters
    ----------
    text
        What it means, one or two sentences for the reference page.
    secret
        Never shown: neither in the group's ``repr`` nor in an error.
    """
    metadata = {"text": text, "secret": secret, "rule": rule}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Variable:
    """The environment variable of one field."""

    name: str
    field: str
    kind: type[Any]
    default: Any
    text: str
    secret: bool
    rule: Rule

    def parse(self, text: str) -> Any:
        """Return the value that a text means.

        Raises
        ------
        ConfigurationError
            It is not a valid value; the message has the variable, its value and the rule.

        Examples
        --------
        >>> port = Variable("SEGUE_PORT", "port", int, 8000, "A port.", False, Rule(low=0))
        >>> port.parse("-1")
        Traceback (most recent call last):
        contracts.errors.ConfigurationError: SEGUE_PORT='-1' must be a whole number, at least 0: \
A port. (docs/settings.md)
        """
        try:
            value = _SWITCH[text.lower()] if self.kind is bool else self.kind(text)
            if self.rule.allows(value):
                return value
        except (ValueError, KeyError):
            pass
        shown = self.name if self.secret else f"{self.name}={text!r}"
        wanted = ", ".join(filter(None, [_WORDS[self.kind], str(self.rule)]))
        raise ConfigurationError(f"{shown} must be {wanted}: {self.text} ({REFERENCE})")


def variable(env: Mapping[str, str], name: str) -> str | None:
    """Return a variable; where it is empty or not set, the content of the file ``<name>_FILE``.

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


def variables(group: type[Group]) -> Iterator[Variable]:
    """Yield the variable of every field of a group."""
    types = get_type_hints(group)
    for field in dataclasses.fields(group):
        kind = types[field.name]
        yield Variable(
            name=group.PREFIX + field.name.upper(),
            field=field.name,
            # `float | None` is read as a float; not set is None.
            kind=next((k for k in get_args(kind) if k is not type(None)), kind),
            default=field.default,
            text=field.metadata.get("text", ""),
            secret=field.metadata.get("secret", False),
            rule=field.metadata.get("rule", _ANY),
        )


def read(group: type[G], env: Mapping[str, str] | None = None) -> G:
    """Read a group from the environment; a variable that is not set or empty keeps its default.

    Raises
    ------
    ConfigurationError
        Naming the variable that cannot be read.
    """
    source = os.environ if env is None else env
    values = {
        each.field: each.parse(text)
        for each in variables(group)
        if (text := variable(source, each.name))
    }
    return group(**values)


def written(settings: Group) -> dict[str, str]:
    """Return the variables with which another process reads the same settings."""
    values = {each.name: getattr(settings, each.field) for each in variables(type(settings))}
    return {
        name: str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }
