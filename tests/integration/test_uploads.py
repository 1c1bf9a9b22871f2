"""Histories uploaded through the API and imported by the worker, which is killed in the middle."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from contracts.imports import MAX_UPLOAD, folder_of
from infra.operations.imports import erase
from infra.stack.process import wait_until
from tests.infra.operations.imports.samples import UTC
from tests.integration.conftest import RunningStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
START = 1_700_000_000


@pytest.fixture(scope="module")
def importer(stack: RunningStack) -> Iterator[None]:
    """A running importer."""
    stack.start_worker("importer")
    yield
    stack.stop("importer")


@pytest.fixture
def user() -> str:
    """A listener of the test's own."""
    return f"uploader-{uuid4().hex[:8]}"


@pytest.fixture
def client(stack: RunningStack, importer: None, user: str) -> Iterator[httpx.Client]:
    """The listener's client: the addresses of its calls are below the listener's."""
    headers = {"authorization": f"Bearer {stack.token_for(user)}"}
    base = f"{stack.api}/v1/users/{user}/"
    with httpx.Client(base_url=base, headers=headers, timeout=60) as found:
        yield found


def upload(client: httpx.Client, content: bytes, name: str, status: int = 202) -> dict[str, Any]:
    answer = client.post("imports", params={"name": name}, content=content)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(client: httpx.Client, id_: str) -> dict[str, Any]:
    """Wait until an import is done or has failed, and return it."""
    found: dict[str, Any] = {}

    def over() -> bool:
        found.update(client.get(f"imports/{id_}").json())
        return found["state"] in ("done", "failed")

    assert wait_until(over, 120, 0.2), found
    return found


def plays(stack: RunningStack, user: str) -> int:
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        row = connection.execute(
            "select count(*) from plays where user_id = %s", (user,)
        ).fetchone()
        assert row is not None
        return int(row[0])


def test_an_upload_from_file_to_history(
    stack: RunningStack, client: httpx.Client, user: str
) -> None:
    text = f"artist,title,played_at\nAir,One,{UTC}\nAir,Two,soon\nAir,Three,{UTC}\n".encode()
    made = upload(client, text, "../../etc/plays.csv")
    assert made["name"] == "plays.csv"
    done = ended(client, made["id"])
    assert (done["state"], done["kept"], done["formats"]) == ("done", 2, ["csv"])
    assert done["rejected"] == {"bad-time": 1}
    (example,) = done["examples"]
    assert "soon" in example["detail"]
    refused = client.get(f"imports/{made['id']}/refused")
    assert refused.status_code == 200
    assert b'"soon"' in refused.content or b"soon" in refused.content
    # The same file once more does nothing, and the answer shows it.
    again = upload(client, text, "copy.csv", 200)
    assert again["id"] == made["id"]
    # What was refused can be mended and uploaded.
    mended = upload(client, refused.content.replace(b"Two,soon", f"Two,{UTC}".encode()), "x.jsonl")
    assert ended(client, mended["id"])["kept"] == 1
    stack.wait_applied(workers=("history-sink",))
    assert plays(stack, user) == 3
    listed = client.get("imports").json()
    assert [item["name"] for item in listed["imports"]] == ["x.jsonl", "plays.csv"]
    assert listed["max_bytes"] == MAX_UPLOAD
    # Neither the file nor the token it was posted with is left.
    assert not list(folder_of(stack.settings.paths.uploads, user).iterdir())
    tokens = client.get(f"{stack.api}/v1/me/tokens").json()["tokens"]
    assert {token["label"] for token in tokens} == {"test"}


def test_files_that_are_no_export(stack: RunningStack, client: httpx.Client, user: str) -> None:
    failed = ended(client, upload(client, b"hello world\n", "note.txt")["id"])
    assert (failed["state"], failed["reason"]) == ("failed", "unknown-format")
    assert failed["problem"] == "note.txt is not an export that Segue can read."
    # One that failed may be tried again.
    assert ended(client, upload(client, b"hello world\n", "note.txt")["id"])["state"] == "failed"
    torn = ended(client, upload(client, b"PK\x03\x04" + b"\x00" * 50, "torn.zip")["id"])
    assert "damaged or not a zip" in torn["problem"]
    assert upload(client, b"", "x", 400)["error"]["code"] == "empty"
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=30)
    connection.putrequest("POST", f"/v1/users/{user}/imports")
    connection.putheader("authorization", client.headers["authorization"])
    connection.putheader("content-length", str(MAX_UPLOAD + 1))
    connection.endheaders()  # refused before a byte of the file is sent
    large = connection.getresponse()
    assert large.status == 413
    assert b"256 MB" in large.read()
    connection.close()
    other = client.get(f"{stack.api}/v1/users/somebody/imports/{torn['id']}")
    assert other.status_code == 403


def test_after_a_kill_an_import_resumes_at_its_checkpoint(
    stack: RunningStack, client: httpx.Client, user: str
) -> None:
    count = 20_000
    rows = "".join(
        f"Artist {n % 97},Title {n % 89},"
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(START + 61 * n))}\n"
        for n in range(count)
    )
    made = upload(client, f"artist,title,played_at\n{rows}".encode(), "long.csv")
    path = f"imports/{made['id']}"
    assert wait_until(lambda: client.get(path).json()["kept"] > 0, 90, 0.01)
    stack.kill("importer")
    try:
        halfway = client.get(path).json()
        assert halfway["state"] == "running"
        assert 0 < halfway["kept"] < count
    finally:  # the other tests need it
        stack.start("importer")
    kept: list[int] = []

    def all_kept() -> bool:
        kept.append(client.get(path).json()["kept"])
        return kept[-1] == count

    assert wait_until(all_kept, 120, 0.1)
    assert min(kept) >= halfway["kept"]
    assert ended(client, made["id"])["kept"] == count
    stack.wait_applied(workers=("history-sink",))
    assert plays(stack, user) == count


def test_an_erasure_takes_what_was_uploaded(
    stack: RunningStack, client: httpx.Client, user: str
) -> None:
    stack.stop("importer")
    try:
        made = upload(client, b"artist,title,played_at\nAir,Late,2026-01-01\n", "late.csv")
        folder = folder_of(stack.settings.paths.uploads, user)
        assert [file.name for file in folder.iterdir()] == [made["id"]]
        assert user not in str(folder)
        erase.forget(stack.settings.home, user)
        assert not folder.exists()
    finally:  # the other tests need it
        stack.start("importer")
    assert ended(client, made["id"])["reason"] == "lost"
