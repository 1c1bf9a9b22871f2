"""One call, over a real socket, against a server that misbehaves."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from batch.collectors.archive import Archive, days, read
from batch.collectors.cache import Cache
from batch.collectors.errors import SourceRefused, SourceUnavailable
from batch.collectors.fetcher import Fetcher
from batch.collectors.policy import Policy
from batch.collectors.source import Source
from batch.collectors.tally import Tally
from tests.batch.collectors.misbehaving import CERTAIN, Misbehaving, Reply

SECRET = "sesame-4711"
#: A busy machine may take its time: only what tests the timeout has a short one.
QUICK = Policy(
    rate=1000.0, timeout=30.0, first_wait=0.001, longest_wait=0.01, attempts=6, breaker_after=50
)


def echo(path: str, params: dict[str, str], body: bytes, headers: dict[str, str]) -> Reply:
    return 200, {"asked": params["q"]}, {}


def source(server: Misbehaving, policy: Policy = QUICK) -> Source:
    return Source("echo", server.url, policy, {"api_key": SECRET}, {"authorization": SECRET})


async def ask(
    server: Misbehaving, home: Path, questions: list[str], policy: Policy = QUICK
) -> Tally:
    with Archive(home / "echo") as archive:
        archive.begin("run")
        async with Fetcher(source(server, policy), archive) as fetcher:
            try:
                await asyncio.gather(*(fetcher.get(f"q/{q}", "/", {"q": q}) for q in questions))
            finally:
                tally = fetcher.tally
    return tally


@pytest.mark.parametrize("fault", CERTAIN)
async def test_each_fault_is_retried_and_counted(tmp_path: Path, fault: str) -> None:
    with Misbehaving(echo, script=[fault, fault]) as server:
        tally = await ask(server, tmp_path, ["a"])
    causes = {"truncated": "bad-json", "html": "bad-json", "reset": "transport"}
    assert tally.retries == {causes.get(fault, fault[:3]): 2}
    assert (tally.calls, tally.attempts, tally.failed) == (1, 3, {})
    assert len(server.requests) == 3


async def test_an_answer_that_takes_too_long_is_asked_for_again(tmp_path: Path) -> None:
    policy = Policy(
        rate=1000.0, timeout=0.3, first_wait=0.001, longest_wait=0.01, attempts=99,
        breaker_after=99,
    )  # fmt: skip
    with Misbehaving(echo, script=["slow", "slow"]) as server:
        tally = await ask(server, tmp_path, ["a"], policy)
    # On a busy machine more answers may take too long than the two that must.
    assert list(tally.retries) == ["timeout"]
    assert (tally.calls, tally.attempts, tally.failed) == (1, 1 + tally.retries["timeout"], {})
    assert tally.attempts >= len(server.requests) >= 3


async def test_many_calls_with_a_fifth_failing_all_arrive_once(tmp_path: Path) -> None:
    questions = [str(n) for n in range(300)]
    with Misbehaving(echo, share=0.2, faults=CERTAIN) as server:
        tally = await ask(server, tmp_path, questions)
    assert tally.calls == 300
    assert tally.attempts == len(server.requests)
    assert sum(tally.retries.values()) == sum(server.injected.values()) > 30
    assert tally.failure_rate == 0
    kept = [r for path in days(tmp_path / "echo") for _, r in read(path)]
    assert sorted(r.params["q"] for r in kept) == sorted(questions)
    assert all(msgspec.json.decode(r.body) == {"asked": r.params["q"]} for r in kept)


async def test_the_failure_rate_is_reported_truly(tmp_path: Path) -> None:
    policy = Policy(
        rate=1000.0, timeout=30.0, first_wait=0.001, longest_wait=0.002, attempts=1,
        breaker_after=1000,
    )  # fmt: skip
    with (
        Misbehaving(echo, share=0.3, faults=("500", "503")) as server,
        Archive(tmp_path / "echo") as archive,
    ):
        archive.begin("run")
        async with Fetcher(source(server, policy), archive) as fetcher:
            asked = (fetcher.get(str(n), "/", {"q": str(n)}) for n in range(200))
            results = await asyncio.gather(*asked, return_exceptions=True)
    failed = sum(isinstance(result, SourceUnavailable) for result in results)
    assert failed == sum(server.injected.values()) > 0
    assert fetcher.tally.failure_rate == failed / 200


async def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    def busy_once(path: str, params: dict[str, str], body: bytes, h: dict[str, str]) -> Reply:
        if len(server.requests) == 1:
            return 429, {}, {"retry-after": "1"}
        return 200, {}, {}

    with Misbehaving(busy_once) as server:
        started = asyncio.get_running_loop().time()
        await ask(server, tmp_path, ["a"])
        assert asyncio.get_running_loop().time() - started >= 1.0


async def test_a_long_retry_after_ends_the_run_and_says_when_to_return(tmp_path: Path) -> None:
    def closed(*_: object) -> Reply:
        return 429, {}, {"retry-after": "86400"}

    with Misbehaving(closed) as server, pytest.raises(SourceUnavailable, match="86400 s"):
        await ask(server, tmp_path, ["a"])
    assert len(server.requests) == 1


async def test_a_long_retry_after_is_meant_for_every_question(tmp_path: Path) -> None:
    def closed(*_: object) -> Reply:
        return 429, {}, {"retry-after": "86400"}

    with Misbehaving(closed) as server, Archive(tmp_path / "echo") as archive:
        archive.begin("run")
        async with Fetcher(source(server), archive) as fetcher:
            for said in ("come back in 86400 s", "asked for a pause of 86"):
                with pytest.raises(SourceUnavailable, match=said):
                    await fetcher.get(said, "/", {"q": said})
            assert fetcher.left_alone
    assert len(server.requests) == 1


async def test_the_breaker_stops_the_hammering(tmp_path: Path) -> None:
    policy = Policy(rate=1000.0, first_wait=0.001, longest_wait=0.001, attempts=4, breaker_after=8)
    with (
        Misbehaving(lambda *_: (500, None, {})) as server,
        Archive(tmp_path / "echo") as archive,
    ):
        archive.begin("run")
        async with Fetcher(source(server, policy), archive) as fetcher:
            for n in range(20):
                with pytest.raises(SourceUnavailable):
                    await fetcher.get(str(n), "/", {"q": "x"})
    assert len(server.requests) == 8
    assert fetcher.tally.failed == {"500": 2, "breaker-open": 18}
    assert fetcher.tally.breaker_opened == 1


async def test_a_refusal_is_final_and_names_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "batch")
    with (
        Misbehaving(lambda *_: (403, {"message": "no"}, {}), script=["reset"]) as server,
        pytest.raises(SourceRefused, match="403") as error,
    ):
        await ask(server, tmp_path, ["a"])
    assert SECRET not in str(error.value) + caplog.text
    assert server.requests[0][1]["api_key"] == SECRET
    assert server.headers[0]["authorization"] == SECRET


async def test_the_archive_holds_no_secret_and_resumes_without_asking(tmp_path: Path) -> None:
    with Misbehaving(echo) as server:
        await ask(server, tmp_path, ["a", "b"])
        tally = await ask(server, tmp_path, ["a", "b", "c"])
    assert len(server.requests) == 3
    assert (tally.calls, tally.resumed) == (1, 2)
    kept = b"".join(msgspec.json.encode(r) for p in days(tmp_path / "echo") for _, r in read(p))
    assert SECRET.encode() not in kept


async def test_nothing_there_is_an_answer(tmp_path: Path) -> None:
    with Misbehaving(lambda *_: (404, {}, {})) as server:
        first = await ask(server, tmp_path, ["a"])
        second = await ask(server, tmp_path, ["a"])
    assert (first.missing, first.failure_rate, second.resumed) == (1, 0.0, 1)
    assert len(server.requests) == 1


async def test_conditional_requests_reuse_what_still_holds(tmp_path: Path) -> None:
    def tagged(path: str, params: dict[str, str], body: bytes, headers: dict[str, str]) -> Reply:
        if params["q"] == "fresh":
            return 200, {"v": 1}, {"cache-control": "public, max-age=3600"}
        if headers.get("if-none-match") == '"v1"':
            return 304, None, {}
        return 200, {"v": 1}, {"etag": '"v1"'}

    with Misbehaving(tagged) as server:
        for run in ("monday", "tuesday"):
            with Archive(tmp_path / "echo") as archive:
                archive.begin(run)
                cache = Cache(tmp_path / "echo")
                async with Fetcher(source(server), archive, cache=cache) as fetcher:
                    for q in ("tagged", "fresh"):
                        record = await fetcher.get(q, "/", {"q": q})
                        assert record is not None
                        assert record.body == '{"v": 1}'
                cache.close()
    assert [params["q"] for _, params in server.requests] == ["tagged", "fresh", "tagged"]
    assert (fetcher.tally.unchanged, fetcher.tally.fresh) == (1, 1)


async def test_a_body_without_end_is_not_read_to_the_end(tmp_path: Path) -> None:
    policy = Policy(rate=1000.0, attempts=1, largest_body=1000)
    with (
        Misbehaving(lambda *_: (200, "x" * 100_000, {})) as server,
        pytest.raises(SourceUnavailable, match="more than 1000 B"),
    ):
        await ask(server, tmp_path, ["a"], policy)
