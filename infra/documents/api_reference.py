"""The reference of the HTTP API, generated from the OpenAPI document."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

#: A link within the page.
LINK = re.compile(r"\]\(#([\w-]+)\)")

_HEAD = """\
# HTTP API

Every operation, generated from the OpenAPI document that a running API serves at `/openapi.json`.
A token goes into the header `Authorization: Bearer <token>`.
[api/README.md](../api/README.md) describes roles, limits and players.

| operation | roles |
|---|---|
"""


def render(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document as Markdown."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in sorted(document["paths"].items())
        for method, operation in methods.items()
    ]
    lines = [_HEAD]
    for method, path, operation in operations:
        name = operation["operationId"]
        lines.append(f"| [`{method} {path}`](#{name}) | {_roles(operation)} |\n")
    for method, path, operation in operations:
        lines += _operation(method, path, operation)
    lines.append("\n## Schemas\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "".join(lines)


def _roles(operation: dict[str, Any]) -> str:
    if not operation["security"]:
        return "no token needed"
    return ", ".join(f"`{role}`" for role in operation["x-roles"]) or "any token"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"\n## `{method} {path}` {{ #{operation['operationId']} }}\n\n"
    yield f"{_prose(operation.get('description', ''))}\n\nRoles: {_roles(operation)}.\n"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "\n| parameter | in | type | meaning |\n|---|---|---|---|\n"
    for each in parameters:
        name = f"`{each['name']}`{' (required)' if each.get('required') else ''}"
        text = _cell(each.get("description", ""))
        yield f"| {name} | {each['in']} | {_type(each.get('schema', {}))} | {text} |\n"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"\nBody: `{kind}`, {_type(content.get('schema', {}))}\n"
    yield "\n| status | meaning | body |\n|---|---|---|\n"
    for status, answer in sorted(operation["responses"].items()):
        kinds = answer.get("content", {}).items()
        body = "; ".join(f"`{kind}` {_type(c.get('schema', {}))}" for kind, c in kinds)
        yield f"| {status} | {_cell(answer.get('description', ''))} | {body} |\n"
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            if "example" in content:
                yield f"\n```json\n{_shortened(content['example'])}\n```\n"


def _shortened(example: Any) -> str:
    text = example if isinstance(example, str) else json.dumps(example, indent=2)
    lines = text.splitlines()
    return "\n".join([*lines[:40], *(["..."] if len(lines) > 40 else [])])


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"\n### {name} {{ #schema-{name.lower()} }}\n\n{_prose(schema.get('description', ''))}\n"
    fields = schema.get("properties", {})
    required = set(schema.get("required", ()))
    if fields:
        yield "\n| field | type | meaning |\n|---|---|---|\n"
    for field, value in fields.items():
        mark = " (required)" if field in required else ""
        yield f"| `{field}`{mark} | {_type(value)} | {_cell(value.get('description', ''))} |\n"


def _type(schema: dict[str, Any]) -> str:
    """Return a schema in a few words, with links to the schemas it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#schema-{name.lower()})"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(_type(option) for option in schema[choice])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{_cell(str(value))}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _prose(text: str) -> str:
    """Return a docstring as Markdown: reST literals become code spans."""
    return inspect.cleandoc(text).replace("``", "`").replace("<", "&lt;")


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|").replace("\n", " ")
