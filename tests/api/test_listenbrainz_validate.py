"""Every check of submit-listens, by the name ListenBrainz gives its test."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError
from api.listenbrainz.limits import MAX_BODY, OLDEST
from api.listenbrainz.validate import Submitted, validate

NOW = 1_790_000_000.0
MBID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"


def listen(**changes: Any) -> dict[str, Any]:
    """Return a good listen with changes at the top level; ``None`` removes a key."""
    good: dict[str, Any] = {
        "listened_at": int(NOW) - 100,
        "track_metadata": {"artist_name": "Air", "track_name": "Sexy Boy"},
    }
    good.update(changes)
    return {key: value for key, value in good.items() if value is not ...}


def metadata(**changes: Any) -> dict[str, Any]:
    """Return a good listen with changes in its metadata."""
    inner = {"artist_name": "Air", "track_name": "Sexy Boy", **changes}
    return listen(track_metadata={k: v for k, v in inner.items() if v is not ...})


def info(**fields: Any) -> dict[str, Any]:
    """Return a good listen with this additional_info."""
    return metadata(additional_info=fields)


def check(payload: Any, listen_type: Any = "import") -> Submitted:
    """Validate a payload."""
    body = {"listen_type": listen_type, "payload": payload}
    return validate(json.dumps(body).encode(), NOW)


def message(body: bytes) -> str:
    """Return what a bad body is refused with."""
    with pytest.raises(ApiError) as caught:
        validate(body, NOW)
    assert caught.value.status == 400
    return caught.value.message


def refusal(payload: Any, listen_type: Any = "import") -> str:
    """Return what a bad payload is refused with."""
    return message(json.dumps({"listen_type": listen_type, "payload": payload}).encode())


def test_too_large_payload() -> None:
    assert (
        message(b" " * (MAX_BODY + 1)) == "Payload too large. Payload cannot exceed 10240000 bytes"
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"a":"\xff"}', b'{"a":"\\ud800"}', b"[" * 100_000, b'{"a":1e999}'],
)
def test_cannot_parse(body: bytes) -> None:
    assert message(body).startswith("Cannot parse JSON document: ")


def test_nan_in_json() -> None:
    body = b'{"listen_type":"single","payload":[{"listened_at":NaN}]}'
    assert message(body).startswith("Cannot parse JSON document: ")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_top_level_json_is_not_dict(body: bytes) -> None:
    assert message(body) == (
        "Invalid JSON document submitted. Top level of JSON document should be a json object."
    )


@pytest.mark.parametrize("body", [b"{}", b'{"payload":[]}', b'{"listen_type":"single"}'])
def test_missing_keys(body: bytes) -> None:
    assert message(body) == "Invalid JSON document submitted."


@pytest.mark.parametrize("payload", [{}, "x", 1, None])
def test_payload_is_not_list(payload: Any) -> None:
    assert refusal(payload) == "The payload in the JSON document should be a list of listens."


def test_zero_listens_payload() -> None:
    assert refusal([]) == "JSON document does not contain any listens"


def test_too_many_listens() -> None:
    assert len(check([listen()] * 1000).listens) == 1000
    assert refusal([listen()] * 1001) == (
        "Too many listens. You may not submit more than 1000 listens at once."
    )


def test_too_large_listen() -> None:
    def body(size: int) -> bytes:
        text = json.dumps({"listen_type": "single", "payload": [info(note="")]})
        return text.replace('"note": ""', f'"note": "{"x" * (size - len(text))}"').encode()

    assert len(body(10_240)) == 10_240
    assert validate(body(10_240), NOW).listens
    assert message(body(10_241)) == (
        "JSON document is too large. Each listens may not be larger than 10240 bytes."
    )


@pytest.mark.parametrize("kind", ["", "Single", 1, None, ["single"], {"a": 1}])
def test_invalid_listen_type(kind: Any) -> None:
    assert refusal([listen()], kind) == "JSON document requires a valid listen_type key."


@pytest.mark.parametrize("kind", ["single", "playing_now"])
def test_single_and_playing_now_more_than_one_listen(kind: str) -> None:
    assert refusal([listen(), listen()], kind) == (
        "JSON document contains more than listen for a single/playing_now. "
        "It should contain only one."
    )


@pytest.mark.parametrize("kind", ["single", "import"])
def test_valid(kind: str) -> None:
    assert check([listen()], kind) == (kind, [listen()])


@pytest.mark.parametrize("bad", [None, 1, "x", []])
def test_listen_is_not_an_object(bad: Any) -> None:
    assert refusal([bad]) == "Listen is empty and cannot be validated."


def test_missing_listened_at() -> None:
    assert refusal([listen(listened_at=...)]) == (
        "JSON document must contain the key listened_at at the top level."
    )


@pytest.mark.parametrize("bad", [None, "soon", 1.5, True, [], "", "１７"])
def test_null_and_bad_listened_at(bad: Any) -> None:
    assert refusal([listen(listened_at=bad)]) == (
        "JSON document must contain an int value for listened_at."
    )


def test_listened_at_in_a_string() -> None:
    assert check([listen(listened_at="1700000000")]).listens[0]["listened_at"] == 1_700_000_000


def test_too_high_timestamps() -> None:
    assert check([listen(listened_at=int(NOW) + 3599)])
    assert refusal([listen(listened_at=int(NOW) + 3600)]) == (
        "Value for key listened_at is too high."
    )


def test_too_low_timestamps() -> None:
    assert check([listen(listened_at=OLDEST)])
    assert refusal([listen(listened_at=OLDEST - 1)]) == (
        "Value for key listened_at is too low. listened_at timestamp should be greater than "
        "1033410600 (2002-10-01 00:00:00 UTC)."
    )


def test_missing_track_metadata() -> None:
    assert refusal([listen(track_metadata=...)]) == (
        "JSON document must contain the key track_metadata at the top level."
    )


def test_null_track_metadata() -> None:
    assert "null value" in refusal([listen(track_metadata=None)])


def test_other_top_level_keys() -> None:
    assert refusal([listen(user="ada")]) == (
        "JSON document may only contain listened_at and track_metadata top level keys"
    )


def test_playing_now() -> None:
    assert check([listen(listened_at=...)], "playing_now").listen_type == "playing_now"


def test_playing_now_with_ts() -> None:
    assert refusal([listen()], "playing_now") == (
        "JSON document must not contain listened_at while submitting playing_now."
    )


def test_playing_now_with_other_keys() -> None:
    assert refusal([listen(listened_at=..., user="ada")], "playing_now") == (
        "JSON document may only contain track_metadata as top level key"
    )


@pytest.mark.parametrize("fields", [{"duration": 180}, {"duration_ms": 180_000}])
def test_playing_now_with_duration(fields: dict[str, int]) -> None:
    bare = {key: value for key, value in info(**fields).items() if key != "listened_at"}
    assert check([bare], "playing_now").listens == [bare]


@pytest.mark.parametrize("name", ["artist_name", "track_name", "release_name"])
@pytest.mark.parametrize("bad", [["a"], 1, {"a": 1}, True])
def test_bad_name_format(name: str, bad: Any) -> None:
    """Also: multiple_artist_names."""
    assert refusal([metadata(**{name: bad})]) == f"track_metadata.{name} must be a single string."


@pytest.mark.parametrize("name", ["artist_name", "track_name"])
@pytest.mark.parametrize("empty", ["", "  ", "\t\n"])
def test_empty_track_name(name: str, empty: str) -> None:
    assert refusal([metadata(**{name: empty})]) == f"field track_metadata.{name} is empty."


@pytest.mark.parametrize("name", ["artist_name", "track_name"])
def test_required_names(name: str) -> None:
    assert refusal([metadata(**{name: ...})]) == (
        f"JSON document does not contain required field track_metadata.{name}."
    )


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_empty_release_name_stripped(empty: Any) -> None:
    assert "release_name" not in check([metadata(release_name=empty)]).listens[0]["track_metadata"]


def test_too_many_tags() -> None:
    assert check([info(tags=["t"] * 50)])
    assert refusal([info(tags=["t"] * 51)]) == (
        "JSON document may not contain more than 50 items in track_metadata.additional_info.tags."
    )


def test_too_long_tag() -> None:
    assert check([info(tags=["t" * 64])])
    assert refusal([info(tags=["t" * 65])]) == (
        "JSON document may not contain track_metadata.additional_info.tags longer than "
        "64 characters."
    )


def test_multi_duration() -> None:
    assert refusal([info(duration=1, duration_ms=1000)]) == (
        "JSON document should not contain both duration and duration_ms."
    )


@pytest.mark.parametrize("name", ["duration", "duration_ms"])
@pytest.mark.parametrize("bad", ["long", -1, 0, None, [], True, ""])
def test_invalid_duration(name: str, bad: Any) -> None:
    assert refusal([info(**{name: bad})]) == (
        f"Value for {name} is invalid, should be a positive integer."
    )


@pytest.mark.parametrize(
    ("name", "most"), [("duration", 2_073_600), ("duration_ms", 2_073_600_000)]
)
def test_too_large_duration(name: str, most: int) -> None:
    assert check([info(**{name: most})])
    assert refusal([info(**{name: most + 1})]) == (
        f"Value for {name} is too large, max permitted value is {most}"
    )


def test_string_duration_conversion() -> None:
    assert check([info(duration_ms="180000")]).listens[0]["track_metadata"]["additional_info"] == {
        "duration_ms": 180_000
    }


@pytest.mark.parametrize(
    "name", ["release_mbid", "recording_mbid", "release_group_mbid", "track_mbid"]
)
def test_invalid_mbid(name: str) -> None:
    assert check([info(**{name: MBID})])
    assert check([info(**{name: MBID.upper()})])
    for bad in ("x", MBID + "0", 1, [MBID]):
        assert refusal([info(**{name: bad})]) == f"{name} MBID format invalid."
    for dropped in ("", None):
        cleaned = check([info(**{name: dropped})]).listens[0]["track_metadata"]["additional_info"]
        assert cleaned == {}


@pytest.mark.parametrize("name", ["artist_mbids", "work_mbids"])
def test_invalid_mbid_list(name: str) -> None:
    assert check([info(**{name: [MBID, MBID]})])
    for bad in (["x"], [MBID, 1], MBID):
        assert refusal([info(**{name: bad})]) == f"{name} MBID format invalid."


@pytest.mark.parametrize(
    "bad",
    [
        metadata(artist_name="a\x00b"),
        info(note={"deep": ["a\x00b"]}),
        info(**{"a\x00b": 1}),
    ],
)
def test_unicode_null_error(bad: dict[str, Any]) -> None:
    assert refusal([bad]) == "a\x00b contains a unicode null"


def test_additional_info_is_kept() -> None:
    fields = {"media_player": "x", "anything": {"a": [1, 2, None]}, "tags": ["t"]}
    assert check([info(**fields)]).listens == [info(**fields)]


def test_deep_nesting_is_refused() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    assert "nested deeper" in refusal([info(note=deep)])


def test_one_bad_listen_refuses_all() -> None:
    assert refusal([listen()] * 999 + [listen(listened_at=5)]).startswith("Value for key")


def test_checks_come_in_the_protocols_order() -> None:
    """Of several mistakes in one body the first in this order is reported."""
    bad = listen(
        listened_at=5,
        user="ada",
        track_metadata={
            "artist_name": "",
            "additional_info": {
                "tags": ["t"] * 51,
                "duration": -1,
                "recording_mbid": "x",
                "note": "a\x00b",
            },
        },
    )
    told = [refusal([bad] * 1001, "none"), refusal([bad] * 2, "none"), refusal([bad] * 2, "single")]
    inner = bad["track_metadata"]
    mend: list[tuple[dict[str, Any], str, Any]] = [
        (bad, "listened_at", int(NOW)),
        (bad, "user", ...),
        (inner, "artist_name", "Air"),
        (inner, "track_name", "Sexy Boy"),
        (inner["additional_info"], "tags", []),
        (inner["additional_info"], "duration", 1),
        (inner["additional_info"], "recording_mbid", MBID),
    ]
    for where, key, value in mend:
        told.append(refusal([bad]))
        where[key] = value
        if value is ...:
            del where[key]
    told.append(refusal([bad]))
    begin = [
        "Too many listens.",
        "JSON document requires a valid listen_type",
        "JSON document contains more than listen",
        "Value for key listened_at is too low.",
        "JSON document may only contain listened_at",
        "field track_metadata.artist_name is empty.",
        "JSON document does not contain required field track_metadata.track_name.",
        "JSON document may not contain more than 50 items",
        "Value for duration is invalid",
        "recording_mbid MBID format invalid.",
        "a\x00b contains a unicode null",
    ]
    assert [text.startswith(start) for text, start in zip(told, begin, strict=True)] == [True] * 11


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_LISTEN = st.fixed_dictionaries(
    {},
    optional={
        "listened_at": _JSON | st.integers(1_000_000_000, 1_800_000_000),
        "track_metadata": _JSON
        | st.fixed_dictionaries(
            {"artist_name": _JSON | st.text(), "track_name": st.text()},
            optional={
                "release_name": _JSON,
                "additional_info": st.dictionaries(
                    st.sampled_from(
                        ["duration", "duration_ms", "tags", "recording_mbid", "artist_mbids", "x"]
                    ),
                    _JSON,
                )
                | _JSON,
            },
        ),
    },
)


def judged(body: bytes) -> Submitted | int:
    """Return what became of a body: a submission, or the status of its refusal."""
    try:
        return validate(body, NOW)
    except ApiError as error:
        return error.status


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(body: bytes) -> None:
    assert judged(body) == 400


@given(st.sampled_from(["single", "import", "playing_now"]), st.lists(_LISTEN | _JSON, max_size=3))
def test_any_json_is_judged(kind: str, payload: list[Any]) -> None:
    outcome = judged(json.dumps({"listen_type": kind, "payload": payload}).encode())
    assert outcome == 400 or len(outcome.listens) == len(payload)  # type: ignore[union-attr]
