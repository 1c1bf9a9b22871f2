"""Whether messages of one JSON Schema can be read by another: the rules of a schema registry.

Workers read the log again from its beginning, so a new schema of a topic must read every message
that any earlier schema allowed (*backward*). While a deployment is updated, old workers read what
the new API writes, so the previous schema must read the new messages as well (*forward*).

Only what msgspec writes into a schema is compared.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "contentEncoding")


def unreadable(reader: Schema, written: Schema) -> list[str]:
    """Return why ``reader`` may refuse messages that ``written`` allows; empty: it reads them all.

    Examples
    --------
    >>> old = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    >>> new = old | {"properties": {"a": {"type": "string"}}}
    >>> unreadable(new, old)
    ['a: was integer, is string']
    >>> unreadable(old | {"required": ["a", "b"]}, old)
    ['b: is required, and messages may lack it']
    """
    return _Comparison(reader, written).differences(reader, written, "")


class _Comparison:
    def __init__(self, reader: Schema, written: Schema) -> None:
        self._roots = reader, written
        self._open: set[tuple[str, str]] = set()

    def differences(self, reader: Schema, written: Schema, path: str) -> list[str]:
        refs = reader.get("$ref", ""), written.get("$ref", "")
        if not all(refs):
            return self._choose(reader, written, path)
        if refs in self._open:  # a type that contains itself
            return []
        self._open.add(refs)
        try:
            return self._choose(reader, written, path)
        finally:
            self._open.remove(refs)

    def _choose(self, reader: Schema, written: Schema, path: str) -> list[str]:
        """Compare each choice of what was written with the choice that reads it best."""
        reader, written = (
            _follow(root, schema)
            for root, schema in zip(self._roots, (reader, written), strict=True)
        )
        found = []
        for each in written.get("anyOf", [written]):
            tries = [self._one(kind, each, path) for kind in reader.get("anyOf", [reader])]
            if [] not in tries:
                found += sorted(tries, key=len)[0]
        return found

    def _one(self, reader: Schema, written: Schema, path: str) -> list[str]:
        """Compare two schemas of which neither is a choice."""
        if "$ref" in reader or "$ref" in written:
            return self.differences(reader, written, path)
        name = path or "message"
        kind, was = reader.get("type"), written.get("type")
        if kind is not None and kind != was and (kind, was) != ("number", "integer"):
            return [f"{name}: was {was or 'anything'}, is {kind}"]
        return [
            *_values(reader, written, name),
            *_bounds(reader, written, name),
            *self._fields(reader, written, path),
            *self._parts(reader, written, path),
        ]

    def _fields(self, reader: Schema, written: Schema, path: str) -> list[str]:
        fields, earlier = reader.get("properties", {}), written.get("properties", {})
        found = [
            f"{_join(path, name)}: is required, and messages may lack it"
            for name in reader.get("required", [])
            if name not in written.get("required", [])
        ]
        for name in fields.keys() & earlier.keys():
            found += self.differences(fields[name], earlier[name], _join(path, name))
        if reader.get("additionalProperties") is False:
            found += [f"{_join(path, name)}: is refused" for name in earlier.keys() - fields.keys()]
        return sorted(found)

    def _parts(self, reader: Schema, written: Schema, path: str) -> list[str]:
        found = []
        for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
            part, was = reader.get(key), written.get(key)
            if isinstance(part, dict):
                found += self.differences(part, was if isinstance(was, dict) else {}, path + mark)
        places = zip(reader.get("prefixItems", []), written.get("prefixItems", []), strict=False)
        for place, (part, was) in enumerate(places):
            found += self.differences(part, was, f"{path}[{place}]")
        return found


def _values(reader: Schema, written: Schema, name: str) -> list[str]:
    allowed, was = _choices(reader), _choices(written)
    if allowed is None:
        return []
    if was is None:
        return [f"{name}: was any value, is one of {allowed}"]
    return [f"{name}: {value!r} is no longer allowed" for value in was if value not in allowed]


def _choices(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _bounds(reader: Schema, written: Schema, name: str) -> list[str]:
    found = []
    for key in (*_LEAST, *_MOST):
        if key not in reader:
            continue
        bound, was = reader[key], written.get(key)
        if was is None or (bound > was if key in _LEAST else bound < was):
            found.append(f"{name}: {key} was {was}, is {bound}")
    found += [
        f"{name}: {key} was {written.get(key)}, is {reader[key]}"
        for key in _EXACT
        if key in reader and reader[key] != written.get(key)
    ]
    return found


def _follow(root: Schema, schema: Schema) -> Schema:
    while (ref := schema.get("$ref")) is not None:
        schema = root["$defs"][ref.rpartition("/")[2]]
    return schema


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
