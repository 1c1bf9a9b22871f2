"""Errors, routes, documents, reports: what every caller sees."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import httpx
import pytest

from api import docs_try, looks
from contracts.heartbeat import Heartbeat, encode
from tests.api.conftest import World

ANALYST = {"authorization": "Bearer analyst-token"}
ADA = {"authorization": "Token ada-token"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/nope", {"error"}), ("/v1/nope", {"error"}), ("/1/nope", {"code", "error"})],
)
async def test_unknown_routes_are_json(
    client: httpx.AsyncClient, path: str, shape: set[str]
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == shape


async def test_wrong_method_says_which_is_right(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/plays")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_health_needs_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["workers"]["learner"] == "has never reported"


async def test_a_pod_is_ready_once_it_has_reached_all_until_it_stops(
    world: World, client: httpx.AsyncClient
) -> None:
    watcher = world.services.watcher

    async def status() -> int:
        return (await client.get("/readyz?scope=pod")).status_code

    watcher.reached.update(("kafka", "postgres"))
    assert await status() == 503, "without a model its lists would be empty"
    watcher.reached.add("model")
    assert await status() == 200
    watcher.state["kafka"] = watcher.state["postgres"] = "no answer"
    assert await status() == 200, "lists continue"
    watcher.stopping = True
    assert await status() == 503


async def test_metrics_count(client: httpx.AsyncClient) -> None:
    await client.get("/nope/1")
    text = (await client.get("/metrics")).text
    assert 'segue_http_requests_total{method="GET",route="unknown",status="404"}' in text
    assert "/nope/1" not in text


@pytest.mark.parametrize(
    "path", ["/metrics", "/1/validate-token?token=x", "/v1/users/a/recommendations"]
)
async def test_our_mistakes_are_told_without_details(
    world: World, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(world.services.accounts, "identify", broken)
    monkeypatch.setattr(world.services.metrics, "render", lambda: 1 / 0)
    answer = await client.get(path, headers=ADA if path.startswith("/v1") else {})
    assert answer.status_code == 500
    assert "logged" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/json"


async def test_hot_endpoints_are_documented(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path, method in (
        ("/v1/plays", "post"),
        ("/1/submit-listens", "post"),
        ("/v1/users/{user}/recommendations", "get"),
    ):
        operation = document["paths"][path][method]
        assert operation["responses"]
        if method == "post":
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema["$ref"].rpartition("/")[2] in document["components"]["schemas"]


async def test_descriptions_of_shapes_are_docstrings_without_python(
    client: httpx.AsyncClient,
) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    described = schemas["Definition"]["description"]
    assert described.startswith("Definition of an experiment; the unit is the listener.\n\n")
    assert "\nkey\n    Its name: " in described
    texts = [schema.get("description", "") for schema in schemas.values()]
    assert not [text for text in texts if ">>> " in text]


async def test_every_reference_in_the_document_resolves(client: httpx.AsyncClient) -> None:
    response = await client.get("/openapi.json")
    schemas = response.json()["components"]["schemas"]
    references = {part.split('"')[0] for part in response.text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)


async def test_docs_need_no_other_server(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "/v1/plays" in page
    assert set(re.findall(r"https?://[^/&;]+", page)) == {"http://segue"}  # in calls to copy


async def test_operations_have_names_of_their_own_and_named_answers(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    ids, untyped = [], []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            untyped += [
                f"{method} {path} {status}"
                for status, answer in operation["responses"].items()
                if status.startswith("2") and path != "/2.0/"
                for kind, content in answer.get("content", {}).items()
                if kind == "application/json" and "$ref" not in content["schema"]
            ]
    assert not untyped
    assert not [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)]
    twice = {name for name in ids if ids.count(name) > 1}
    assert not twice, "name these in api/names.py"
    assert not [name for name in ids if name.endswith(("_get", "_post", "_put"))]


async def test_a_page_to_try_the_api_without_another_server(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await client.get("/docs/try")
    assert page.status_code == 200
    assert "http" not in re.sub(r"http-equiv", "", page.text)
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href)="(/docs/try/[^"]+)"', page.text):
        assert (await client.get(address)).status_code == 200, address
    monkeypatch.setattr(docs_try, "folder", lambda: None)
    missing = await client.get("/docs/try")
    assert missing.status_code == 404
    assert "segue[docs]" in missing.text


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=000000101", "limit=x", "limit=²", "discover=maybe"]
)
async def test_bad_parameters_of_recommendations(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/users/ada/recommendations?{query}", headers=ADA)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == query.partition("=")[0]


async def test_no_model_and_no_store_is_an_empty_degraded_list(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/users/ada/recommendations", headers=ADA)).json()
    assert answer["recommendations"] == []
    assert answer["degraded"] is True


async def test_lists_of_others_are_not_shown(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/users/bob/recommendations", headers=ADA)).status_code == 403
    player = {"authorization": "Bearer player-token"}
    assert (await client.get("/v1/users/bob/recommendations", headers=player)).status_code == 200


@pytest.mark.parametrize("name", ["a%00b", "n" * 257])
async def test_a_name_nobody_can_have_gets_no_list(client: httpx.AsyncClient, name: str) -> None:
    player = {"authorization": "Bearer player-token"}
    answer = await client.get(f"/v1/users/{name}/recommendations", headers=player)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown-user"


async def test_reports(world: World, client: httpx.AsyncClient) -> None:
    folder = world.home / "reports" / "top-artists"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text('{"rows": []}')
    (folder / "latest.html").write_text("<p>hello</p>")
    (world.home / "reports" / "secret").write_text("no report")
    assert (await client.get("/v1/reports", headers=ADA)).status_code == 403
    listed = (await client.get("/v1/reports", headers=ANALYST)).json()["reports"]
    assert [(r["name"], r["formats"]) for r in listed] == [("top-artists", ["json", "html"])]
    page = await client.get("/v1/reports/top-artists?format=html", headers=ANALYST)
    assert page.text == "<p>hello</p>"
    assert "sandbox" in page.headers["content-security-policy"]
    for bad in ("top-artists?format=csv", "nope", "..%2fsecret", "%2e%2e", "secret", "TOP-ARTISTS"):
        answer = await client.get(f"/v1/reports/{bad}", headers=ANALYST)
        assert answer.status_code == 404, bad


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "You need to provide an Authorization header."),
        ("Token", "Provided Authorization header is invalid."),
        ("Token nope", "Invalid authorization token."),
    ],
)
async def test_listenbrainz_unauthorized_submission(
    client: httpx.AsyncClient, header: str | None, message: str
) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = await client.post("/1/submit-listens", headers=headers, content=b"{}")
    assert answer.status_code == 401
    assert answer.json() == {"code": 401, "error": message}


@pytest.mark.parametrize("text", ["--5", "x", "-", "1.5", "９"])
async def test_listenbrainz_bounds_of_listens(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.get(f"/1/user/ada/listens?min_ts={text}", headers=ADA)
    assert (answer.status_code, answer.json()["error"]) == (400, f"Invalid min_ts argument: {text}")


async def test_listenbrainz_headers(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.post("/1/submit-listens", headers=ADA, content=b"{}"),
        await client.get("/1/validate-token", headers=ADA),
        await client.get("/1/nope"),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        for name in ("limit", "remaining", "reset", "reset-in"):
            assert answer.headers[f"x-ratelimit-{name}"].isdigit()
    preflight = await client.options("/1/submit-listens")
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


async def test_listenbrainz_validate_token(client: httpx.AsyncClient) -> None:
    good = {"code": 200, "message": "Token valid.", "valid": True, "user_name": "ada"}
    bad = {"code": 200, "message": "Token invalid.", "valid": False}
    url = "/1/validate-token"
    assert (await client.get(url, headers=ADA)).json() == good
    assert (await client.get(f"{url}?token=ada-token")).json() == good
    assert (await client.get(f"{url}?token=x")).json() == bad
    for headers in ({}, {"authorization": "Basic ada-token"}):
        answer = await client.get(url, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"] == "You need to provide an Authorization token."


async def test_listenbrainz_submit_at_every_base_url(
    world: World, client: httpx.AsyncClient
) -> None:
    body = (
        b'{"listen_type":"single","payload":[{"listened_at":1700000000,'
        b'"track_metadata":{"artist_name":"a","track_name":"b"}}]}'
    )
    paths = ("/1/submit-listens", "/submit-listens", "/1/1/submit-listens", "/1/submit-listens/")
    for path in paths:
        answer = await client.post(path, headers=ADA, content=body)
        assert answer.json() == {"status": "ok"}
    assert len(world.log.records) == len(paths)
    assert len({record.value.partition(b"received_at")[0] for record in world.log.records}) == 1
    world.log.down = True
    answer = await client.post(paths[0], headers=ADA, content=body)
    assert answer.status_code == 503
    assert answer.json()["error"] == "Cannot submit listens to queue, please try again later."


async def test_a_host_that_was_taken_away_does_not_speak_for_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time() * 1000)
    monkeypatch.setattr(looks, "time", SimpleNamespace(time=lambda: now / 1000))  # it stands still
    beats = [
        Heartbeat(name=name, pid=1, at=now - ago, state="running")
        for name, ago in (("learner@here", 0), ("learner@gone", 86_400_000), ("listeners", 60_000))
    ]

    async def hgetall(_: str) -> dict[bytes, bytes]:
        torn = {b"learner@broken": b'{"name": "lea', b"\xff": b"\xff"}
        return torn | {beat.name.encode(): encode(beat) for beat in beats}

    workers = world.services.workers
    monkeypatch.setattr(world.services.redis, "hgetall", hgetall)
    monkeypatch.setattr(workers, "beats", {})
    monkeypatch.setattr(workers, "_folded_at", {})
    monkeypatch.setattr(workers, "_began", now)
    monkeypatch.setattr(workers, "_trouble", lambda: "")  # other tests had no store to read
    assert await workers.look() == "ok"
    # A minute without the worker of the windows: lists rest on what was known then, and say so.
    assert not workers.windows_stand_still(0), "this process has only begun to look"
    monkeypatch.setattr(workers, "_began", now - 60_000)
    await workers.look()
    assert workers.windows_stand_still(0)
    for state, stand in (("waiting", True), ("running", False)):  # waiting: it folds nothing
        beats[2] = Heartbeat(name="listeners", pid=2, at=now, state=state, partitions=[0, 1])
        await workers.look()
        assert workers.windows_stand_still(1) is stand
    # Two processes share the partitions: one that waits degrades its own listeners alone.
    beats.append(Heartbeat(name="listeners@b", pid=3, at=now, state="waiting", partitions=[2, 3]))
    await workers.look()
    assert [workers.windows_stand_still(p) for p in range(4)] == [False, False, True, True]
    beats.pop()
    beats[2] = Heartbeat(name="listeners", pid=2, at=now - 60_000, state="running")
    monkeypatch.setattr(workers, "_trouble", lambda: "slow")
    assert await workers.look() == "slow"
    states = workers.states()
    assert (states["learner"], states["listeners"]) == ("ok", "silent for 60 s")
