"""Reading an answer by its contract so that one odd row costs one row.

An answer is a document of thousands of rows, and services send odd ones: a null where an object
was, a text where a number was, a field that is gone. This module drops an optional field that does
not match the contract, leaves out a row that lacks a required field (with its path and the reason),
and reads a single object in place of a list as a list of one. Only an answer that lacks its list
cannot be read.
"""

from __future__ import annotations

import types
import typing
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import FieldInfo, fields

#: Why a row is left out that lacks a field it needs.
MISSING = "missing"


class Broken(NamedTuple):
    """A row that was left out.

    Attributes
    ----------
    path
        Where it lies in the answer, such as ``recenttracks.track[7].name``.
    why
        What is wrong.
    raw
        The row as JSON.
    """

    path: str
    why: str
    raw: str = ""


class Mended(NamedTuple):
    """An answer as its contract has it, what was left out of it, and how many rows were kept.

    Rows are counted only where something was left out.
    """

    value: Any
    broken: list[Broken]
    kept: int = 0


class _Unusable(Exception):
    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why


def mended(document: Any, contract: Any) -> Mended:
    """Return a decoded answer as its contract has it.

    Raises
    ------
    msgspec.ValidationError
        What is left does not make an answer: its list is missing, for one.
    """
    try:
        return Mended(msgspec.convert(document, contract, strict=False), [])
    except msgspec.ValidationError:
        pass
    broken: list[Broken] = []
    kept = [0]
    try:
        clean = _mend(document, contract, "", broken, kept)
    except _Unusable as unusable:
        raise msgspec.ValidationError(f"{unusable.path or 'answer'}: {unusable.why}") from None
    return Mended(msgspec.convert(clean, contract, strict=False), broken, kept[0])


def _mend(value: Any, kind: Any, path: str, broken: list[Broken], kept: list[int]) -> Any:
    """Return the value without what does not fit, or raise where it cannot do without."""
    try:
        msgspec.convert(value, kind, strict=False)
        return value
    except msgspec.ValidationError as error:
        problem = str(error)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        arms = [arm for arm in arguments if _looks_like(value, arm)]
        if not arms:
            raise _Unusable(path, problem)
        return _mend(value, arms[0], path, broken, kept)
    if origin is list and isinstance(value, list | dict):
        return _rows(
            value if isinstance(value, list) else [value], arguments[0], path, broken, kept
        )
    if origin is dict and isinstance(value, dict):
        return _entries(value, arguments[1], path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        return _fields(value, fields(kind), path, broken, kept)
    raise _Unusable(path, problem)


def _rows(
    rows: list[Any], kind: Any, path: str, broken: list[Broken], kept: list[int]
) -> list[Any]:
    good = []
    for number, row in enumerate(rows):
        try:
            good.append(_mend(row, kind, f"{path}[{number}]", broken, kept))
        except _Unusable as unusable:
            raw = msgspec.json.encode(row).decode()
            broken.append(Broken(unusable.path, unusable.why, raw))
    kept[0] += len(good)
    return good


def _entries(held: dict[str, Any], kind: Any, path: str) -> dict[str, Any]:
    kept = {}
    for name, value in held.items():
        try:
            kept[name] = _mend(value, kind, f"{path}.{name}", [], [0])
        except _Unusable:
            continue  # an entry nobody can name is one nobody needs
    return kept


def _fields(
    held: dict[str, Any],
    known: tuple[FieldInfo, ...],
    path: str,
    broken: list[Broken],
    kept: list[int],
) -> dict[str, Any]:
    clean = dict(held)
    for field in known:
        name = field.encode_name
        here = f"{path}.{name}" if path else name
        if name not in held:
            if field.required:
                raise _Unusable(here, MISSING)
            continue
        try:
            clean[name] = _mend(held[name], field.type, here, broken, kept)
        except _Unusable:
            if field.required:
                raise
            del clean[name]
    return clean


def _looks_like(value: Any, arm: Any) -> bool:
    if typing.get_origin(arm) is list:
        return isinstance(value, list)
    if typing.get_origin(arm) is dict or (
        isinstance(arm, type) and issubclass(arm, msgspec.Struct)
    ):
        return isinstance(value, dict)
    return False
