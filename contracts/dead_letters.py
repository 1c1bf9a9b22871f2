"""The dead-letter topic: listing and replaying its messages.

A dead letter is never deleted. A replay appends a note (key ``replayed``), so a list can show which
letters are still open. Replaying a message twice is harmless: every consumer is idempotent.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Producer

from contracts import kafka_client
from contracts.deliveries import Deliveries
from contracts.erased import Erased, Place
from contracts.erasures import decode as decode_erasure
from contracts.errors import BrokerUnavailable, InvalidEvent, StoreUnavailable
from contracts.events import DeadLetter
from contracts.kafka import log_id
from contracts.scrobbles import as_play
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from contracts.whole_topic import messages

#: A request of an administrator with this header sends a dead letter again. If the API refuses it
#: again, it makes no second letter, because the first one still waits.
REPLAY_HEADER = "x-segue-replay"
#: Outcome of :func:`replay` for a letter that was sent.
SENT = "sent"
_REPLAYED = b"replayed"
_HTTP = "http:"
#: How long a broker may take to acknowledge, seconds.
_ACK_SECONDS = 15


@dataclass(slots=True)
class Letter:
    """One message that could not be processed; several consumers may have refused it.

    Attributes
    ----------
    partition, offset
        Position of its first dead letter in the dead-letter topic.
    content
        That dead letter.
    stages
        Every consumer that refused the message.
    replayed
        It has been replayed.
    bytes
        Size of the message in bytes, even if its value is not kept here.

    Examples
    --------
    >>> refused = DeadLetter(topic="segue.plays", partition=2, offset=7, reason="bad-json",
    ...                      detail="not JSON", at=0, stage="listeners", value=b"{")
    >>> Letter(partition=0, offset=41, content=refused).id  # of the message, not of the letter
    'segue.plays:2:7'
    """

    partition: int
    offset: int
    content: DeadLetter
    stages: list[str] = field(default_factory=list)
    replayed: bool = False
    bytes: int = 0

    @property
    def id(self) -> str:
        """Its name: where the message came from, else where the letter lies."""
        origin = self.content
        if origin.offset >= 0 and not origin.topic.startswith(_HTTP):
            return f"{origin.topic}:{origin.partition}:{origin.offset}"
        return f"{self.partition}:{self.offset}"


class _Note(msgspec.Struct):
    id: str
    at: int


_LETTER = msgspec.json.Decoder(DeadLetter)
_NOTE = msgspec.json.Decoder(_Note)


def read(
    settings: Settings,
    *,
    replayed: bool = False,
    keep: Callable[[str], bool] = lambda _: True,
    newest: int | None = None,
) -> list[Letter]:
    """Return the refused messages in order of time; replayed ones only on request.

    Letters of erased listeners stay in the topic until its retention ends; they are left out.

    Parameters
    ----------
    keep
        Whether the value of the letter of an id is kept; the others take little memory.
    newest
        Maximum number of messages per partition, the newest ones.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    topics = Topics(settings.namespace)
    letters: dict[str, Letter] = {}
    done: set[str] = set()
    found = messages(settings, topics.dead_letters, newest=newest)
    for message in found:
        value, partition, offset = message.value(), message.partition(), message.offset()
        if value is None or partition is None or offset is None:
            continue
        if message.key() == _REPLAYED:
            done.add(_NOTE.decode(value).id)
            continue
        content = _LETTER.decode(value)
        letter = Letter(partition, offset, content)
        letter.bytes = content.whole_bytes or len(content.value or b"")
        letters.setdefault(letter.id, letter).stages.append(content.stage)
        if not keep(letter.id):
            content.value = None
    erased = _erased(settings) if letters else Erased()
    for letter in letters.values():
        letter.stages = sorted(set(letter.stages))
        letter.replayed = letter.id in done
    in_time = sorted(letters.values(), key=lambda x: (x.content.at, x.partition, x.offset))
    return [
        letter
        for letter in in_time
        if (replayed or not letter.replayed) and not _is_erased(letter, erased, topics)
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
    """Return what is erased: letters of it are neither shown nor sent again."""
    topics, erased = Topics(settings.namespace), Erased()
    for message in messages(settings, topics.erasures):
        try:
            erased.add(decode_erasure(message.value()))
        except InvalidEvent:
            continue  # the workers report it
    logs = (*topics.landed, topics.dead_letters)
    erased.logs = {topic.kind: log_id(settings, topic) for topic in logs}
    return erased


def replay(
    settings: Settings, letters: list[Letter], post: Callable[[bytes], None]
) -> dict[str, str]:
    """Replay letters to their origin and return ``id -> outcome``.

    A message of a topic goes back to the same topic and partition with its bytes unchanged. A play
    that the API refused is posted again. A letter that fails again stays open, and its outcome has
    the reason.

    Parameters
    ----------
    post
        Posts the body of a ``POST /v1/plays``; raises ``InvalidEvent`` where it is refused again,
        ``StoreUnavailable`` or ``BrokerUnavailable`` where it could not be posted.

    Raises
    ------
    BrokerUnavailable
        The broker did not acknowledge.
    """
    producer = kafka_client.producer(settings, "dead-letters")
    outcomes: dict[str, str] = {}
    notes = Deliveries()
    for letter in letters:
        try:
            _check_whole(letter)
            if letter.content.topic.startswith(_HTTP):
                post(_as_request(letter))
            else:
                _produce(producer, letter)
            outcomes[letter.id] = SENT
        except (InvalidEvent, StoreUnavailable) as error:
            outcomes[letter.id] = str(error)
            continue
        note = msgspec.json.encode(_Note(letter.id, int(time.time() * 1000)))
        topic = Topics(settings.namespace).dead_letters
        producer.produce(topic, note, _REPLAYED, letter.partition, on_delivery=notes)
    if why := notes.wait(producer, _ACK_SECONDS):
        raise BrokerUnavailable(
            f"the letters were replayed, but may still be listed as open ({why}); replay them "
            "again: nothing is counted twice"
        )
    return outcomes


def _check_whole(letter: Letter) -> None:
    if letter.content.whole_bytes is not None:
        raise InvalidEvent(
            "cut",
            f"only the beginning of its {letter.content.whole_bytes} bytes is kept here; "
            f"the whole message lies at {letter.id}",
        )


def _produce(producer: Producer, letter: Letter) -> None:
    content = letter.content
    deliveries = Deliveries()
    producer.produce(
        content.topic,
        content.value,
        content.key,
        content.partition,
        on_delivery=deliveries,
    )
    if why := deliveries.wait(producer, _ACK_SECONDS):
        raise BrokerUnavailable(f"{content.topic}: {why}")


def _as_request(letter: Letter) -> bytes:
    """Return the body that posts a refused play; without a name it is its sender's play."""
    if letter.content.stage == "api-body":
        raise InvalidEvent("bad-body", "the request was refused whole: only its sender can mend it")
    try:
        play = msgspec.json.decode(letter.content.value or b"null", type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise InvalidEvent("bad-json", f"only its sender can mend it: {error}") from None
    play = as_play(play)
    play.setdefault("user", (letter.content.key or b"").decode(errors="replace"))
    return msgspec.json.encode({"plays": [play]})


def as_text(raw: bytes | None) -> str | None:
    """Return bytes as text where they are UTF-8, else as base64.

    Examples
    --------
    >>> as_text(b"play"), as_text(b"\\xff"), as_text(None)
    ('play', 'base64:/w==', None)
    """
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()


def as_json(letter: Letter) -> dict[str, object]:
    """Return a letter as plain values; bytes as in :func:`as_text`."""
    content = msgspec.structs.asdict(letter.content)
    content |= {"value": as_text(letter.content.value), "key": as_text(letter.content.key)}
    del content["stage"]
    return {"id": letter.id, "stages": letter.stages, "replayed": letter.replayed, **content}
