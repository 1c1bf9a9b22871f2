"""Posting is patient with a server that is busy, and short with one that refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from batch.posting import Poster, open_client
from contracts.errors import ConfigurationError, StoreUnavailable

Answer = tuple[int, dict[str, str], bytes]
TAKEN: Answer = (202, {}, b'{"results": [{"status": "accepted", "event_id": "e"}]}')


@contextmanager
def server(*answers: Answer) -> Iterator[tuple[str, list[float]]]:
    """Answer one request after the other, the last answer for ever; note when they came."""
    times: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, headers, body = answers[min(len(times), len(answers) - 1)]
            times.append(time.monotonic())
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", times
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


async def send(api: str, give_up_after: float = 30.0) -> tuple[int, str]:
    """Post one body; return retries and the status of the play."""
    async with open_client(api, "token") as client:
        poster = Poster(client, give_up_after)
        (result,) = await poster.send(b'{"plays": [{}]}')
        return poster.retries, result.status


async def test_a_busy_server_is_waited_for_as_long_as_it_asks() -> None:
    busy: Answer = (429, {"retry-after": "1"}, b"{}")
    away: Answer = (503, {}, b"{}")
    with server(busy, away, TAKEN) as (api, times):
        assert await send(api) == (2, "accepted")
    assert times[1] - times[0] >= 1.0
    assert times[2] - times[1] >= 0.1


async def test_a_server_that_limits_is_alive_and_never_given_up() -> None:
    limits: Answer = (429, {}, b"{}")
    with server(limits, limits, limits, TAKEN) as (api, _):
        assert await send(api, give_up_after=0.3) == (3, "accepted")


async def test_a_server_that_stays_away_is_given_up() -> None:
    with (
        server((503, {}, b"{}")) as (api, _),
        pytest.raises(StoreUnavailable, match="did not answer after several retries: HTTP 503"),
    ):
        await send(api, give_up_after=0.5)
    with pytest.raises(
        StoreUnavailable, match="did not answer after several retries: ConnectError"
    ):
        await send(api, give_up_after=0.2)


async def test_refusals_for_good_are_not_repeated() -> None:
    for status in (400, 401, 403, 404):
        with server((status, {}, b'{"message": "no"}')) as (api, times):
            with pytest.raises(ConfigurationError, match=f"HTTP {status}.*no"):
                await send(api)
            assert len(times) == 1


async def test_a_body_in_which_every_play_is_refused_is_an_answer() -> None:
    refused = b'{"results": [{"status": "rejected", "reason": "future"}]}'
    with server((400, {}, refused)) as (api, _):
        assert await send(api) == (0, "rejected")
