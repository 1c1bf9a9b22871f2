"""Reading the dead-letter topic and sending what lies there once more.

A dead letter is never deleted. A replay appends a note beside it (key ``replayed``), so the list
shows what still waits; sending one twice is harmless because every consumer is idempotent.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

import httpx
import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.errors import BrokerUnavailable, InvalidEvent, StoreUnavailable
from contracts.events import DeadLetter
from contracts.kafka import end_offsets, log_id
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from infra.operations.scrobbles import as_play
from streams.erasures import Erased, ErasureFollower, Place
from streams.heartbeat import Status

_REPLAYED = b"replayed"
_HTTP = "http:"


@dataclass(slots=True)
class Letter:
    """One message that could not be used; several consumers may have refused it.

    Attributes
    ----------
    partition, offset
        Where its first dead letter lies in the dead-letter topic.
    content
        That dead letter.
    stages
        Every consumer that refused the message.
    """

    partition: int
    offset: int
    content: DeadLetter
    stages: list[str]

    @property
    def id(self) -> str:
        """What the commands take: where the message came from, else where the letter lies."""
        origin = self.content
        if origin.offset >= 0 and not origin.topic.startswith(_HTTP):
            return f"{origin.topic}:{origin.partition}:{origin.offset}"
        return f"{self.partition}:{self.offset}"


class _Note(msgspec.Struct):
    id: str
    at: int


_LETTER = msgspec.json.Decoder(DeadLetter)
_NOTE = msgspec.json.Decoder(_Note)


def read(settings: Settings, *, replayed: bool = False) -> list[Letter]:
    """Return the refused messages in order of time; those replayed already only if asked for.

    Letters of erased listeners lie in the topic until it lets them go; nobody gets to see them.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    topic = Topics(settings.namespace).dead_letters
    ends = end_offsets(settings.kafka, topic, settings.partitions)
    letters: dict[str, Letter] = {}
    done: set[str] = set()
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "segue-dlq",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        for partition, end in enumerate(ends):
            low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            position = low
            if position >= end:
                continue
            consumer.assign([TopicPartition(topic, partition, low)])
            deadline = time.monotonic() + 30
            while position < end:
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(f"{topic}/{partition} cannot be read to {end}")
                for message in consumer.consume(1000, 1.0):
                    value, offset = message.value(), message.offset()
                    if message.error() is not None or value is None or offset is None:
                        continue
                    position = offset + 1
                    if message.key() == _REPLAYED:
                        done.add(_NOTE.decode(value).id)
                    else:
                        content = _LETTER.decode(value)
                        letter = Letter(partition, offset, content, [])
                        letters.setdefault(letter.id, letter).stages.append(content.stage)
    finally:
        consumer.close()
    for letter in letters.values():
        letter.stages = sorted(set(letter.stages))
    erased = _erased(settings) if letters else Erased()
    in_time = sorted(letters.values(), key=lambda x: (x.content.at, x.partition, x.offset))
    return [
        letter
        for letter in in_time
        if (replayed or letter.id not in done)
        and not _is_erased(letter, erased, Topics(settings.namespace))
    ]


def _is_erased(letter: Letter, erased: Erased, topics: Topics) -> bool:
    """Return whether the sender was erased after the letter, or the message in it, was written."""
    content = letter.content
    user = (content.key or b"").decode(errors="replace")
    places = [Place(Kind.DEAD_LETTERS, letter.partition, letter.offset)]
    if content.offset >= 0 and (topic := topics.named(content.topic)) is not None:
        places.append(Place(topic.kind, content.partition, content.offset))
    return any(erased.covers(user, place, content.at) for place in places)


def _erased(settings: Settings) -> Erased:
    """Return who is forgotten: their letters are neither shown nor sent again."""
    erased = Erased()
    follower = ErasureFollower(settings, Status(), erased)
    topics = Topics(settings.namespace)
    logs = (*topics.landed, topics.dead_letters)
    follower.read_whole({topic.kind: log_id(settings.kafka, topic) for topic in logs})
    follower.close()
    return erased


def replay(settings: Settings, letters: list[Letter], *, api: str, token: str) -> dict[str, str]:
    """Send letters where they came from and return ``id -> outcome``.

    A message of a topic goes back to the same topic and partition with its bytes unchanged; a play
    the API refused is posted again. Those that fail keep waiting.

    Raises
    ------
    BrokerUnavailable
        The broker did not acknowledge.
    """
    producer = Producer(
        {"bootstrap.servers": settings.kafka, "acks": "all", "enable.idempotence": True}
    )
    outcomes: dict[str, str] = {}
    for letter in letters:
        try:
            if letter.content.whole_bytes is not None:
                raise InvalidEvent(
                    "cut",
                    f"only the beginning of its {letter.content.whole_bytes} bytes is kept here; "
                    f"the whole message lies at {letter.id}",
                )
            if letter.content.topic.startswith(_HTTP):
                _post(letter, api, token)
            else:
                _produce(producer, letter)
            outcomes[letter.id] = "sent"
        except (InvalidEvent, StoreUnavailable) as error:
            outcomes[letter.id] = str(error)
            continue
        note = msgspec.json.encode(_Note(letter.id, int(time.time() * 1000)))
        topic = Topics(settings.namespace).dead_letters
        producer.produce(topic, note, _REPLAYED, letter.partition)
    if producer.flush(15):
        raise BrokerUnavailable("the broker did not acknowledge the replay; nothing is lost")
    return outcomes


def _produce(producer: Producer, letter: Letter) -> None:
    content = letter.content
    failed: list[str] = []
    producer.produce(
        content.topic,
        content.value,
        content.key,
        content.partition,
        on_delivery=lambda error, _: failed.append(str(error)) if error else None,
    )
    if producer.flush(15) or failed:
        raise BrokerUnavailable(f"{content.topic}: {failed or 'no acknowledgement'}")


def _post(letter: Letter, api: str, token: str) -> None:
    """Post a play the API refused; it was the sender's unless it names another listener."""
    if letter.content.stage == "api-body":
        raise InvalidEvent("bad-body", "the request was refused whole: only its sender can mend it")
    try:
        play = msgspec.json.decode(letter.content.value or b"null", type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise InvalidEvent("bad-json", f"only its sender can mend it: {error}") from None
    play = as_play(play)
    play.setdefault("user", (letter.content.key or b"").decode(errors="replace"))
    try:
        response = httpx.post(
            f"{api}/v1/plays",
            content=msgspec.json.encode({"plays": [play]}),
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
        )
    except httpx.TransportError as error:
        raise StoreUnavailable(f"{api} does not answer: {error}") from None
    if response.status_code != 202:
        raise InvalidEvent("refused", f"refused again: {response.text[:200]}")


def as_json(letter: Letter) -> dict[str, object]:
    """Return a letter as plain values; bytes as text where they are UTF-8, else base64."""
    content = msgspec.structs.asdict(letter.content)
    for name in ("value", "key"):
        raw: bytes | None = content[name]
        if raw is None:
            continue
        try:
            content[name] = raw.decode()
        except UnicodeDecodeError:
            content[name] = "base64:" + base64.b64encode(raw).decode()
    del content["stage"]
    return {"id": letter.id, "stages": letter.stages, **content}
