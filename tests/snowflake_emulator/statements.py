"""Statements fakesnow does not know, answered by a SELECT it does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fakesnow.transforms.stage import LOCAL_BUCKET_PATH

from tests.snowflake_emulator.account import Account

_COMMENT = re.compile(r"/\*.*?\*/|^\s*--[^\n]*$", re.S | re.M)
_STAGE = re.compile(
    r"(?P<verb>LIST|LS|REMOVE|RM)\s+'?@(?P<stage>[\w.]+)(?P<path>/[^\s';]*)?'?\s*;?\s*$", re.I
)


def stage_folder(name: str) -> Path:
    """Return where fakesnow keeps the files of ``DB.SCHEMA.STAGE``."""
    return Path(LOCAL_BUCKET_PATH, *name.upper().split("."))


def stage_files(name: str, path: str = "") -> list[Path]:
    """Return the files of a stage whose name begins with ``path``."""
    folder = stage_folder(name)
    prefix = path.removeprefix("/")
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and str(file.relative_to(folder)).startswith(prefix)
    )


#: The function of infra/snowflake/035_functions.sql.
_FOLD = re.compile(r"\w+\.GOVERNANCE\.FOLD_NAME_\d+\(", re.I)
_REFERENCES = re.compile(
    r"TABLE\([\w.]+\.POLICY_REFERENCES\(\s*POLICY_NAME\s*=>\s*'([\w.]+)'\s*\)\)", re.I
)
_GET = re.compile(
    r"GET\s+@(?P<stage>[\w.]+)/(?P<path>[^\s']+)\s+'file://(?P<folder>[^']+)'\s*;?\s*$", re.I
)


def download(sql: str, address: str) -> dict[str, Any] | None:
    """Return what the connector needs to download files from us; ``None`` for other statements.

    Parameters
    ----------
    address
        Of this server: a file has a presigned address, as in a stage on Google Cloud.
    """
    found = _GET.match(bare(sql))
    if found is None:
        return None
    stage = found["stage"]
    files = stage_files(stage, "/" + found["path"])
    names = [f"{stage.split('.')[-1].lower()}/{f.relative_to(stage_folder(stage))}" for f in files]
    places = [quote(str(file.relative_to(LOCAL_BUCKET_PATH))) for file in files]
    return {
        "command": "DOWNLOAD",
        "src_locations": names,
        "localLocation": found["folder"],
        "stageInfo": {"locationType": "GCS", "location": f"{stage.lower()}/", "creds": {}},
        "presignedUrls": [f"{address}/fs_bucket/{place}" for place in places],
        "parallel": 1,
        "autoCompress": False,
        "sourceCompression": "none",
        "overwrite": False,
    }


def step_of(sql: str) -> str:
    """Return which step of landing a statement is (see ``faults.POINTS``), or nothing."""
    found = _STAGE.match(bare(sql))
    if found is None:
        return ""
    return "list" if found["verb"].upper() in ("LIST", "LS") else "remove"


def bare(sql: str) -> str:
    """Return a statement without comments and outer blanks."""
    return _COMMENT.sub("", sql).strip()


def translate(sql: str, account: Account, user: str = "") -> str:
    """Return the statement, or one that fakesnow can answer in its place; ``user`` asks."""
    text = _FOLD.sub("fold_name(", bare(sql))
    if re.match(r"CREATE\s+FUNCTION|GRANT\s+USAGE\s+ON\s+FUNCTION", text, re.I):
        return "select 1"  # the server has registered it with DuckDB
    if found := re.match(r"SELECT\s+IS_ROLE_IN_SESSION\('(\w+)'\)", text, re.I):
        return f"select {str(account.has_role(user, found[1])).lower()} as held"
    if found := _STAGE.match(text):
        stage, path = found["stage"], found["path"] or ""
        verb = _list if found["verb"].upper() in ("LIST", "LS") else _remove
        return verb(stage, stage_files(stage, path))
    if found := re.match(r"SELECT\s+SYSTEM\$PIPE_STATUS\('([\w.]+)'\)", text, re.I):
        state = "RUNNING" if found[1].upper() in account.pipes else "MISSING"
        word = json.dumps({"executionState": state, "pendingFileCount": 0})
        return select(["SYSTEM$PIPE_STATUS"], [(word,)])
    if found := re.match(r"SHOW\s+GRANTS\s+TO\s+ROLE\s+(\w+)", text, re.I):
        return select(["privilege", "name"], _grants(account.grants.get(found[1].upper(), [])))
    if found := re.match(r"SHOW\s+FUTURE\s+GRANTS\s+TO\s+ROLE\s+(\w+)", text, re.I):
        later = [g for g in account.grants.get(found[1].upper(), []) if " future " in g.lower()]
        return select(["privilege", "name"], _grants(later))
    if found := re.match(r"DESCRIBE\s+MASKING\s+POLICY\s+([\w.]+)", text, re.I):
        policy = account.objects.get("MASKING POLICY", {}).get(found[1].upper(), {})
        return select(["name", "body"], [(found[1], policy["TEXT"])] if policy else [])
    if found := re.match(r"SHOW\s+WAREHOUSES\s+LIKE\s+'(\w+)_%'", text, re.I):
        known = account.objects.get("WAREHOUSE", {}).items()
        return select(
            ["name", "auto_suspend", "resource_monitor"],
            [
                (name, int(have.get("AUTO_SUSPEND", 600)), have.get("RESOURCE_MONITOR", "null"))
                for name, have in known
                if name.startswith(f"{found[1].upper()}_")
            ],
        )
    if found := _REFERENCES.search(text):
        held = [n.split(".") for n, policy in account.masked.items() if policy == found[1].upper()]
        references = ["REF_SCHEMA_NAME", "REF_ENTITY_NAME", "REF_COLUMN_NAME"]
        answer = select(references, [(n[-3], n[-2], n[-1]) for n in held])
        return text[: found.start()] + f"({answer})" + text[found.end() :]
    if found := re.match(r"SHOW\s+PIPES", text, re.I):
        rows = [(p.name.split(".")[-1], p.definition) for p in account.pipes.values()]
        return select(["name", "definition"], rows)
    if found := re.match(r"SHOW\s+(ROLES|RESOURCE MONITORS|USERS|\w+ POLICIES)", text, re.I):
        kind = found[1].upper().removesuffix("S").replace("POLICIE", "POLICY")
        return select(["name"], [(n,) for n in account.objects.get(kind, {})])
    if (said := account.take(text)) is not None:
        return select(["status"], [(said,)])
    # Words fakesnow cannot parse and that change nothing an emulation could show.
    return re.sub(r"^(CREATE\s+SCHEMA\b.*?)\s+WITH\s+MANAGED\s+ACCESS\b", r"\1", text, flags=re.I)


def _grants(statements: list[str]) -> list[tuple[str | int, ...]]:
    """Return (privilege, name) of GRANT statements; what is granted on all or future things of a
    schema is named by the schema."""
    found: list[tuple[str | int, ...]] = []
    for statement in statements:
        parts = re.match(r"GRANT\s+(.+?)\s+ON\s+(.+)\s+TO\s+ROLE", statement, re.I)
        if parts is not None:
            name = parts[2].split()[-1].upper()
            found += [(privilege.strip().upper(), name) for privilege in parts[1].split(",")]
    return found


def _list(stage: str, files: list[Path]) -> str:
    folder = stage_folder(stage)
    rows = []
    for file in files:
        content = file.read_bytes()
        changed = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        rows.append(
            (
                f"{stage.split('.')[-1].lower()}/{file.relative_to(folder)}",
                len(content),
                hashlib.md5(content, usedforsecurity=False).hexdigest(),
                changed.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            )
        )
    return select(["name", "size", "md5", "last_modified"], rows)


def _remove(stage: str, files: list[Path]) -> str:
    folder = stage_folder(stage)
    rows = []
    for file in files:
        file.unlink()
        rows.append((f"{stage.split('.')[-1].lower()}/{file.relative_to(folder)}", "removed"))
    return select(["name", "result"], rows)


def select(columns: list[str], rows: Iterable[tuple[str | int, ...]]) -> str:
    """Return a statement that gives these rows."""

    def line(row: tuple[str | int, ...]) -> str:
        values = (v if isinstance(v, int) else "'" + v.replace("'", "''") + "'" for v in row)
        return ", ".join(f'{v} as "{c}"' for v, c in zip(values, columns, strict=True))

    lines = [f"select {line(row)}" for row in rows]
    return " union all ".join(lines) or f"select {line(('',) * len(columns))} where false"
