"""Messages survive the wire; broken ones are refused with a countable reason."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import erasures, events, impressions, schema
from contracts.errors import InvalidEvent


def play(**changes: object) -> events.Play:
    fields: dict[str, object] = {
        "event_id": "e",
        "track_id": "t",
        "artist": "Air",
        "title": "Sexy Boy",
        "played_at": 1_700_000_000_000,
        "received_at": 1_700_000_000_500,
        "source": "test/1",
    }
    return msgspec.convert(fields | changes, events.Play)


@given(
    st.lists(
        st.builds(
            lambda artist, second, extra: play(artist=artist, played_at=second, extra=extra),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
            st.integers(0, 2**40),
            st.none() | st.dictionaries(st.text(max_size=5), st.integers(-5, 5), max_size=3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_submission_survives_the_wire(plays: list[events.Play]) -> None:
    sent = events.Submission(user_id="ada", plays=plays)
    assert events.decode_submission(events.encode(sent)) == sent


def test_unknown_fields_are_ignored() -> None:
    document = json.loads(events.encode(events.Submission(user_id="a", plays=[play()])))
    document["new_in_1_1"] = {"deep": [1]}
    document["plays"][0]["mood"] = "blue"
    assert events.decode_submission(json.dumps(document).encode()).plays == [play()]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{", "bad-json"),
        (b"\xff\xfe", "bad-json"),
        (b"[]", "bad-schema"),
        (b'{"x":' + b"[" * 100_000, "bad-json"),
        (b'{"user_id":1,"plays":[]}', "bad-schema"),
        (b'{"user_id":"a","plays":[]}', "empty"),
        (b'{"user_id":"a","plays":[{}]}', "bad-schema"),
        (
            events.encode(events.Submission(user_id="a", plays=[play()], version=2)),
            "bad-version",
        ),
        (
            events.encode(events.Submission(user_id="a", plays=[play()] * 201)),
            "too-many-plays",
        ),
    ],
)
def test_a_broken_submission_is_refused_with_its_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        events.decode_submission(value)
    assert refused.value.reason == reason


DECODERS = [events.decode_submission, events.decode_feedback, erasures.decode, impressions.decode]


@pytest.mark.parametrize("decode", DECODERS)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(decode: Callable[[bytes], object], value: bytes) -> None:
    with contextlib.suppress(InvalidEvent):
        decode(value)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"{", "bad-json"),
        (b'{"x":' + b"[" * 100_000, "bad-json"),
        (b"{}", "bad-schema"),
    ],
)
def test_every_topic_refuses_in_the_same_words(
    decode: Callable[[bytes | None], object], value: bytes | None, reason: str
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode(value)
    assert refused.value.reason == reason


def test_the_schema_of_a_message_is_printed_with_its_descriptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    schema.main("submission.v1")
    printed = json.loads(capsys.readouterr().out)
    assert printed["$defs"]["Submission"]["description"]
