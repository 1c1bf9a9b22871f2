"""/docs: the OpenAPI document as one page of plain HTML.

Pages that draw it with a script load that script from somewhere else; this one works on a machine
without a network.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any
from urllib.parse import quote

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}
details{border:1px solid #ccc;border-radius:6px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;width:4.2rem;color:#06c}
summary span{color:#666}table{border-collapse:collapse;margin:.5rem 0}
td,th{text-align:left;padding:.15rem 1rem .15rem 0;vertical-align:top}code{background:#f4f4f4}
pre{background:#f4f4f4;padding:.5rem .7rem;border-radius:6px;white-space:pre-wrap;
user-select:all;overflow-wrap:anywhere}
input{font:inherit;padding:.4rem .6rem;width:100%;box-sizing:border-box}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}code,pre{background:#333}}
"""

#: Hides the operations whose text has not what is typed; without it all are shown.
SCRIPT = """
const field = document.querySelector("#filter");
field.parentElement.hidden = false;
field.addEventListener("input", () => {
  const wanted = field.value.toLowerCase();
  for (const operation of document.querySelectorAll("details.operation"))
    operation.hidden = !operation.textContent.toLowerCase().includes(wanted);
});
"""
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#1f6a86"/>'
    '<path d="M8 20c4 0 4-8 8-8s4 8 8 8" fill="none" stroke="#fff"'
    ' stroke-width="3.2" stroke-linecap="round"/></svg>'
)
#: Values for the parameters of an example call, by name.
_VALUES = {"user": "ada", "q": "air", "name": "top-artists", "kind": "love", "tag": "jazz"}


def render(document: dict[str, Any], address: str) -> str:
    """Return the page of an OpenAPI document.

    Parameters
    ----------
    address
        Of this server, for calls to copy.
    """
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(
                _operation(method, path, operation, document, address)
            )
    parts = [f"<h2>{escape(tag)}</h2>{''.join(items)}" for tag, items in groups.items()]
    schemas = document.get("components", {}).get("schemas", {})
    parts.append("<h2>Shapes</h2>")
    parts.extend(_schema(name, schema) for name, schema in sorted(schemas.items()))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(info['title'])}</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        '<link rel="icon" href="/favicon.ico"><script src="/docs.js" defer></script><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Tokens go into the header '
        "<code>Authorization: Bearer &lt;token&gt;</code>; <code>TOKEN=...</code> in a shell makes "
        "the calls below work. To call the API from a page: "
        '<a href="/docs/try">/docs/try</a>.</p>'
        '<p hidden><label for="filter">Show only</label><input id="filter" type="search"></p>'
        f"{''.join(parts)}</main></html>"
    )


def _operation(
    method: str, path: str, operation: dict[str, Any], document: dict[str, Any], address: str
) -> str:
    rows = [
        f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}<td>{_type(p.get('schema', {}))}"
        for p in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        rows.append(f"<tr><td>body<td>JSON<td>{_type(body['schema'])}")
    for status, response in operation["responses"].items():
        contents = response.get("content", {})
        shapes = " or ".join(_type(c.get("schema", {})) for c in contents.values())
        text = escape(response.get("description", ""))
        rows.append(f"<tr><td>{status}<td>{text}<td>{shapes}")
    anchor = re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-")
    call = escape(_call(method, path, operation, document, address))
    return (
        f'<details class="operation" id="{anchor}"><summary><b>{method.upper()}</b>'
        f"<code>{escape(path)}</code> "
        f"<span>{escape(operation.get('summary', ''))}</span></summary>"
        f"{_paragraphs(operation.get('description', ''))}<table>{''.join(rows)}</table>"
        f"<pre>{call}</pre>{_answer(operation)}</details>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))


def _call(
    method: str, path: str, operation: dict[str, Any], document: dict[str, Any], address: str
) -> str:
    """Return a call to copy, with an example of everything that must be given."""
    query = []
    for parameter in operation.get("parameters", []):
        name, schema = parameter["name"], parameter.get("schema", {})
        given = (schema.get("examples") or [_VALUES.get(name)])[0]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(str(given or "ID")))
        elif parameter.get("required"):
            query.append(f"{name}={quote(str(given or 'x'))}")
    target = f"{address}{path}" + (f"?{'&'.join(query)}" if query else "")
    parts = ["curl", *(["-X", method.upper()] if method not in ("get", "post") else [])]
    parts += ['-H "Authorization: Bearer $TOKEN"', f'"{target}"']
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if "application/octet-stream" in operation.get("requestBody", {}).get("content", {}):
        parts.append("--data-binary @FILE")
    if body:
        example = json.dumps(_example(body["schema"], document), ensure_ascii=False)
        parts.append(f"-d '{example}'")
    return " ".join(parts)


def _answer(operation: dict[str, Any]) -> str:
    """Return the example of a good answer, where the document has one."""
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            if status.startswith("2") and "example" in content:
                text = content["example"]
                shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
                return f"<p>An answer:</p><pre>{escape(shown[:3000])}</pre>"
    return ""


def _example(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Return a value of a schema: required fields only."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _example(document["components"]["schemas"][name], document)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _example(schema[choice][0], document)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required") or list(schema.get("properties", {}))[:2]
        fields = schema.get("properties", {})
        return {name: _example(fields.get(name, {}), document) for name in required}
    if kind == "array":
        return [_example(schema.get("items", {}), document)]
    return {"integer": 1, "number": 0.5, "boolean": True, "null": None}.get(str(kind), "...")


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code>{' *' if key in required else ''}<td>{_type(value)}"
        for key, value in schema.get("properties", {}).items()
    )
    text = escape(schema.get("description", ""))
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<p>{text}</p><table>{rows}</table></details>"
    )


def _type(schema: dict[str, Any]) -> str:
    """Return a schema in a few words, with links to the shapes it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(option) for option in schema[choice])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "up to length"))
        if key in schema
    ]
    return escape(" ".join([str(schema.get("type", "anything")), *limits]))
