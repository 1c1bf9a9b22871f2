"""A real API process whose model changes under load, and one that answers ten thousand requests.

No learner runs: the tests publish the models, so they know what each one may answer.
"""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlparse

import httpx
import psutil
import pytest
import redis

from contracts.features import Keys
from infra.stack.process import wait_until
from online_model import ModelDirectory
from tests.blobs import pack_play
from tests.integration.conftest import RunningStack
from tests.integration.test_api_ingest import api  # noqa: F401  # servers and the API alone
from tests.online_model.plays import SMALL, made_up

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

USERS = [f"listener {n}" for n in range(40)]


def publish(stack: RunningStack, name: str) -> int:
    """Publish a model whose tracks are called ``name``; return its generation."""
    directory = ModelDirectory(stack.settings.paths.model)
    model = directory.create(SMALL)
    plays = made_up(2_000)
    model.learn_plays(*plays)
    for key in range(1000, 1060):
        track = {"track_id": f"{name}-{key}", "artist": name, "title": f"{key}"}
        model.register_track(key, document=json.dumps(track).encode())
    directory.publish(model)
    return int(model.generation)


@pytest.fixture
def serving(api: RunningStack) -> RunningStack:  # noqa: F811
    """The API with a first model and a feature store that knows the listeners."""
    settings = api.settings
    keys = Keys(settings.namespace, settings.partitions)
    now = int(time.time())
    with redis.Redis.from_url(settings.redis_url) as client:
        for partition in range(settings.partitions):
            client.set(keys.complete(partition), b"1")
        for number, user in enumerate(USERS):
            played = b"".join(
                pack_play(now - 200 * (30 - i), 1000 + (number + i) % 60, 90, 0) for i in range(30)
            )
            client.set(keys.listener(user), bytes([1, 0, 0, 0]) + played)
    generation = publish(api, "first")
    assert wait_until(lambda: ask(api, USERS[0])["generation"] == generation, 90)
    return api


def headers(stack: RunningStack) -> dict[str, str]:
    return {"authorization": f"Bearer {stack.admin_token}"}


def ask(stack: RunningStack, user: str, query: str = "") -> dict[str, Any]:
    url = f"{stack.api}/v1/users/{user}/recommendations{query}"
    answer = httpx.get(url, headers=headers(stack), timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_models_change_under_load_and_no_answer_mixes_two(serving: RunningStack) -> None:
    """Plain lists from the event loop and lists with reasons from the thread."""
    names = {ask(serving, USERS[0])["generation"]: "first"}
    answers: list[dict[str, Any]] = []
    stop = False

    def load(lane: int) -> None:
        query = "?explain=true" if lane % 2 else "?limit=30"
        url = f"{serving.api}/v1/users/{{}}/recommendations{query}"
        with httpx.Client(headers=headers(serving), timeout=60) as client:
            number = lane
            while not stop:
                answer = client.get(url.format(USERS[number % len(USERS)]))
                assert answer.status_code == 200, answer.text
                answers.append(answer.json())
                number += 1

    with ThreadPoolExecutor(4) as pool:
        lanes = [pool.submit(load, lane) for lane in range(4)]
        try:
            assert wait_until(lambda: bool(answers), 60)
            for name in ("second", "third", "fourth"):
                generation = publish(serving, name)
                names[generation] = name
                assert wait_until(
                    lambda: bool(answers) and answers[-1]["generation"] == max(names), 90
                )
        finally:
            stop = True
        for lane in lanes:
            lane.result()
    assert {a["generation"] for a in answers} == set(names)
    for answer in answers:
        name = names[answer["generation"]]
        assert not answer["degraded"]
        assert {t["artist"] for t in answer["recommendations"]} == {name}
        because = {
            named["artist"]
            for track in answer["recommendations"]
            for reason in track.get("reasons", [])
            for named in reason["plays"]
        }
        assert because <= {name}


def test_the_ten_thousandth_request_costs_what_the_thousandth_did(serving: RunningStack) -> None:
    """Processor time of the API's process, the cheapest of many blocks: a busy machine is no
    reason to fail, and a cost that grows with the requests cannot hide."""
    process = psutil.Process(serving.workers["api"].pid)
    clock = (~process.pid << 3) | 2  # Linux: processor time of another process (clock_gettime(2))
    address = urlparse(serving.api)
    client = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    blocks, memory = [], []
    for block in range(50):
        began = time.clock_gettime(clock)
        for number in range(200):
            user = USERS[(block + number) % len(USERS)].replace(" ", "%20")
            client.request("GET", f"/v1/users/{user}/recommendations", headers=headers(serving))
            answer = client.getresponse()
            assert (answer.status, answer.read()[:8]) == (200, b'{"user":')
        blocks.append((time.clock_gettime(clock) - began) / 200)
        memory.append(process.memory_info().rss)
    client.close()
    early, late = min(blocks[5:15]), min(blocks[-10:])
    print(f"{1e6 * early:.0f} us of the API a request early, {1e6 * late:.0f} us late")
    assert late < 1.5 * early, blocks
    assert memory[-1] - memory[5] < 30 * 1024 * 1024, memory
