"""The producer without a broker: it fails in bounded time, in bounded memory, one way only."""

from __future__ import annotations

import asyncio
import time

import pytest
from confluent_kafka import Message

import api.offers
from api import producer
from api.offers import Offers
from api.producer import LogRecord, PlayLog
from contracts.errors import BrokerUnavailable
from contracts.settings import Settings

NOWHERE = Settings(kafka="127.0.0.1:1")
RECORD = LogRecord("t", b"k", b"v" * 1000, 0)


async def test_no_broker_fails_in_the_time_allowed() -> None:
    log = PlayLog(NOWHERE, delivery_ms=300)
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="not acknowledged"):
        await log.append([RECORD, RECORD])
    assert time.monotonic() - started < 4
    assert log.in_flight_bytes == 0
    assert await log.close(1.0) == 0


async def test_nothing_to_append_is_done_at_once() -> None:
    log = PlayLog(NOWHERE)
    await log.append([])


async def test_memory_is_bounded_and_the_excess_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producer, "MAX_IN_FLIGHT_BYTES", 5_500)
    log = PlayLog(NOWHERE, delivery_ms=300)
    waiting = [asyncio.ensure_future(log.append([RECORD])) for _ in range(5)]
    await asyncio.sleep(0)
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="too many messages wait"):
        await log.append([RECORD])
    assert time.monotonic() - started < 0.05
    assert log.refused == 1
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, BrokerUnavailable) for result in results)
    assert log.in_flight_bytes == 0


async def test_an_oversized_message_is_refused_not_waited_for() -> None:
    log = PlayLog(NOWHERE, delivery_ms=300)
    with pytest.raises(BrokerUnavailable, match="queue is closed"):
        await log.append([RECORD, LogRecord("t", b"k", b"v" * 2_000_000, 0)])
    await log.close(2.0)
    assert log.in_flight_bytes == 0


async def test_lost_impressions_are_counted() -> None:
    offers = Offers(NOWHERE, delivery_ms=300)
    assert offers.offer(RECORD) is True
    for _ in range(100):
        await asyncio.sleep(0.05)
        if offers.lost:
            break
    # Not `queued`: the library counts its reports of failed connections too, and keeps trying.
    assert offers.lost == 1


async def test_impressions_beyond_the_room_are_lost_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.offers, "MOST_WAITING_KB", 2)
    offers = Offers(NOWHERE, delivery_ms=300)
    assert [offers.offer(RECORD) for _ in range(3)] == [True, True, False]
    assert offers.lost == 1
    assert await offers.close(0.01) == 2


async def test_who_cannot_be_told_keeps_no_other_waiting() -> None:
    class Broken:
        def done(self) -> bool:
            return False

        def set_result(self, _: None) -> None:
            raise AssertionError

        def set_exception(self, _: BaseException) -> None:
            raise RuntimeError("the handler is closed")

    log = PlayLog(NOWHERE, delivery_ms=300)
    log.submit([RECORD], Broken())
    with pytest.raises(BrokerUnavailable):
        async with asyncio.timeout(5):
            await log.append([RECORD])
    assert log.in_flight_bytes == 0


async def test_plays_of_one_moment_travel_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "GATHER_SECONDS", 60.0)
    log = PlayLog(NOWHERE, delivery_ms=300)
    alone = asyncio.ensure_future(log.append([RECORD]))
    await asyncio.sleep(0)
    assert log.handovers == 1  # after a quiet moment nobody waits
    others = [asyncio.ensure_future(log.append([RECORD])) for _ in range(300)]
    await asyncio.sleep(0)
    assert log.handovers == 1
    await log.close(5.0)  # does not wait for the minute
    results = await asyncio.gather(alone, *others, return_exceptions=True)
    assert all(isinstance(result, BrokerUnavailable) for result in results)
    assert log.handovers == 2
    assert log.in_flight_bytes == 0


async def test_what_has_gathered_is_sent_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "GATHER_SECONDS", 60.0)
    log = PlayLog(NOWHERE, delivery_ms=300)
    waiting = [asyncio.ensure_future(log.append([RECORD])) for _ in range(3)]
    await asyncio.sleep(0)
    assert await log.close(2.0) == len(waiting)
    assert log.handovers == 2
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, BrokerUnavailable) for result in results)


async def test_a_producer_whose_deliveries_fail_is_replaced_once_the_broker_answers() -> None:
    log, offers = PlayLog(NOWHERE, delivery_ms=300), Offers(NOWHERE, delivery_ms=300)
    first = log._producer, offers._producer
    log.revive()
    offers.revive()
    assert (log._producer, offers._producer) == first  # nothing has failed yet
    offers.offer(RECORD)
    with pytest.raises(BrokerUnavailable):
        await log.append([RECORD])
    for _ in range(100):
        await asyncio.sleep(0.05)
        if offers.lost:
            break
    log.revive()
    offers.revive()
    second = log._producer, offers._producer
    assert second[0] is not first[0]
    assert second[1] is not first[1]
    log.revive()
    offers.revive()
    assert (log._producer, offers._producer) == second  # the new ones have not failed


async def test_a_delivery_that_succeeds_ends_the_failing() -> None:
    log = PlayLog(NOWHERE)
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    log.failing = True
    producer._Batch(log, 1, 0, future, None).settle(None, Message(offset=0))
    assert not log.failing
    assert future.result() is None


async def test_a_success_without_an_offset_is_no_acknowledgement() -> None:
    log = PlayLog(NOWHERE)
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    batch = producer._Batch(log, 2, 0, future, None)
    batch.settle(None, Message())
    batch.settle(None, Message(offset=7))
    with pytest.raises(BrokerUnavailable, match="not acknowledged: no broker gave an offset"):
        future.result()
