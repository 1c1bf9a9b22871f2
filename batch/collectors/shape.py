"""Drift: does an answer still have the shape its contract promises?

Reading with a msgspec contract ignores fields it does not know, which is right for the data and
blind for the owner. So each answer is also compared with its contract: unknown fields, fields
that should be there and are not, and values of another kind are counted by path.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
import msgspec.inspect as mi

from batch.collectors.errors import ShapeBroken
from batch.collectors.mending import MISSING, Broken, Mended, mended
from batch.collectors.tally import Tally, count

_LOG = logging.getLogger(__name__)

_KINDS: dict[type[mi.Type], tuple[type, ...]] = {
    mi.StrType: (str,),
    mi.IntType: (int,),
    mi.FloatType: (float, int),
    mi.BoolType: (bool,),
    mi.NoneType: (type(None),),
    mi.StructType: (dict,),
    mi.DictType: (dict,),
    mi.ListType: (list,),
}
#: Distinct differences kept a run: a source gone mad must not fill the memory.
_MOST = 200
#: So many rows of an answer, and not one that can be read: the source has changed, not a row.
_ALL_ODD = 10


@lru_cache
def _info(contract: Any) -> mi.Type:
    return mi.type_info(contract)


def differences(document: Any, contract: Any) -> dict[str, int]:
    """Return ``"<path> <what>" -> count`` where `document` differs from `contract`.

    ``what`` is ``unknown``, ``missing`` or ``is <kind>``. List positions are written ``[]``, so
    the same difference in a thousand rows is one entry. A field with a default may be absent.

    Examples
    --------
    >>> class Row(msgspec.Struct):
    ...     name: str
    ...     album: str = ""
    >>> differences([{"name": "Air"}, {"title": 3}], list[Row])
    {'[].title unknown': 1, '[].name missing': 1}
    """
    found: dict[str, int] = {}
    _compare(document, _info(contract), "", found)
    return found


def _note(found: dict[str, int], path: str, what: str) -> None:
    text = f"{path or '.'} {what}"
    if text in found or len(found) < _MOST:
        count(found, text)


def _matches(value: Any, info: mi.Type) -> bool:
    if isinstance(info, mi.AnyType | mi.RawType):
        return True
    if isinstance(info, mi.UnionType):
        return any(_matches(value, each) for each in info.types)
    if isinstance(info, mi.IntType) and isinstance(value, str):
        return value.isascii() and value.removeprefix("-").isdigit()  # `read` takes these too
    if isinstance(value, bool) and not isinstance(info, mi.BoolType):
        return False
    return isinstance(value, _KINDS.get(type(info), (object,)))


def _compare(value: Any, info: mi.Type, path: str, found: dict[str, int]) -> None:
    info = _chosen(value, info)
    if not _matches(value, info):
        _note(found, path, f"is {type(value).__name__}")
    elif isinstance(info, mi.StructType):
        _compare_fields(value, info, path, found)
    elif isinstance(info, mi.ListType):
        _compare_all(value, info.item_type, f"{path}[]", found)
    elif isinstance(info, mi.DictType):
        _compare_all(value.values(), info.value_type, f"{path}{{}}", found)


def _chosen(value: Any, info: mi.Type) -> mi.Type:
    """Return the member of a union that a value matches, or the union if no member matches."""
    if not isinstance(info, mi.UnionType):
        return info
    return next((each for each in info.types if _matches(value, each)), info)


def _compare_all(values: Iterable[Any], info: mi.Type, path: str, found: dict[str, int]) -> None:
    for value in values:
        _compare(value, info, path, found)


def _compare_fields(
    value: dict[str, Any], info: mi.StructType, path: str, found: dict[str, int]
) -> None:
    known = {field.encode_name: field for field in info.fields}
    for name in value:
        if name not in known:
            _note(found, f"{path}.{name}", "unknown")
    for name, field in known.items():
        if name in value:
            _compare(value[name], field.type, f"{path}.{name}", found)
        elif field.required:
            _note(found, f"{path}.{name}", "missing")


def read(body: str | bytes, contract: Any, tally: Tally) -> Any:
    """Decode an answer by its contract, after counting how it differs.

    A row that cannot be read is left out, counted as ``odd-row`` and logged with its path; the
    archive keeps the answer whole. See :mod:`batch.collectors.mending`.

    Raises
    ------
    ShapeBroken
        What is left makes no answer (its list is gone), or no row of many can be read.
    """
    return read_counting(body, contract, tally).value


def _has_changed(broken: list[Broken]) -> bool:
    """Whether it is the source that changed, where no row can be read: many, or one field gone."""
    gone = {re.sub(r"\[\d+\]", "[]", path) for path, why, _ in broken if why == MISSING}
    one_field = len(broken) >= 2 and len(gone) == 1 and all(b.why == MISSING for b in broken)
    return one_field or len(broken) >= _ALL_ODD


def read_counting(body: str | bytes, contract: Any, tally: Tally) -> Mended:
    """Do as :func:`read`, and return what was left out, too."""
    document = msgspec.json.decode(body)
    for what, times in differences(document, contract).items():
        if what in tally.drift or len(tally.drift) < _MOST:
            count(tally.drift, f"{contract.__name__}{what}", times)
    try:
        answer = mended(document, contract)
    except msgspec.ValidationError as error:
        raise ShapeBroken(f"the shape of {contract.__name__} has changed: {error}") from None
    if not answer.kept and _has_changed(answer.broken):
        path, why, _ = answer.broken[0]
        raise ShapeBroken(
            f"the shape of {contract.__name__} has changed: no row can be read ({path}: {why})"
        )
    for path, why, _ in answer.broken:
        count(tally.rejected, "odd-row")
        _LOG.warning("%s: %s is left out: %s", contract.__name__, path, why)
    return answer
