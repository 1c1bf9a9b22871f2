"""Last.fm's protocols without servers: parameters, signatures, answers, refusals."""

from __future__ import annotations

import hashlib
import json
import time
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.lastfm.errors import LastfmError
from api.lastfm.params import Params
from api.lastfm.tree import Node, failure, success
from contracts.events import DeadLetter, decode_submission
from tests.api.conftest import World

URL = "/2.0/"


def form(**fields: str) -> bytes:
    """Return a form; ``x_0`` becomes ``x[0]``."""
    named = {}
    for name, value in fields.items():
        head, _, index = name.rpartition("_")
        named[f"{head}[{index}]" if index.isdigit() else name] = value
    return urlencode(named).encode()


async def call(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    """Call a method with ada's session."""
    return await client.post(URL, content=form(**{"sk": "ada-token", **fields}))


def xml(answer: httpx.Response) -> ElementTree.Element:
    """Return the root of an XML answer."""
    assert answer.headers["content-type"].startswith("text/xml")
    return ElementTree.fromstring(answer.content)


def test_names_in_any_case_the_body_wins() -> None:
    params = Params.read(b"username=a&Format=json", b"USERNAME=b&streamID%5B0%5D=x")
    assert (params.get("username"), params.as_json) == ("b", True)
    assert params.items() == [{"streamid": "x"}]


def test_items_with_and_without_indices() -> None:
    assert Params.read(b"", form(artist="a", track="t")).items() == [{"artist": "a", "track": "t"}]
    ten = form(**{f"artist_{i}": str(i) for i in range(11)})
    assert [item["artist"] for item in Params.read(b"", ten).items()] == [str(i) for i in range(11)]
    assert Params.read(b"", form(method="x")).items() == []


def test_signature() -> None:
    sent = {"method": "m", "artist[10]": "b", "artist[1]": "a", "api_key": "k"}
    text = "".join(name + sent[name] for name in sorted(sent)) + "secret"
    good = hashlib.md5(text.encode()).hexdigest()
    body = urlencode({**sent, "api_sig": good.upper(), "format": "json"}).encode()
    Params.read(b"", body).check_signature("secret")
    Params.read(b"", form(method="m")).check_signature("")
    for bad in (body.replace(b"artist", b"artisT", 1), form(method="m", api_sig="é")):
        with pytest.raises(LastfmError) as caught:
            Params.read(b"", bad).check_signature("secret")
        assert caught.value.code == 13


@given(st.text(), st.text())
def test_any_text_is_well_formed_xml_and_json(text: str, attribute: str) -> None:
    node = Node("a", children=[Node("b", text, {"c": attribute}), Node("b", "2")])
    root = ElementTree.fromstring(success(node, as_json=False))
    assert root.attrib == {"status": "ok"}
    ElementTree.fromstring(failure(6, text, as_json=False))
    if text.isprintable() and attribute.isprintable():
        assert root[0][0].text == (text or None)
        assert root[0][0].attrib == {"c": attribute}
        assert json.loads(success(node, as_json=True)) == {
            "a": {"b": [{"#text": text, "c": attribute}, "2"]}
        }


async def test_one_scrobble_in_xml(world: World, client: httpx.AsyncClient) -> None:
    now = int(time.time())
    answer = await call(
        client, method="track.scrobble", artist="Air <3", track="Sexy & Boy", timestamp=str(now),
        album="Moon Safari", duration="298", mbid="8f3471b5-7e6a-48da-86a9-c1c07a0f47ae",
    )  # fmt: skip
    root = xml(answer)
    assert root.attrib == {"status": "ok"}
    scrobbles = root[0]
    assert (scrobbles.tag, scrobbles.attrib) == ("scrobbles", {"accepted": "1", "ignored": "0"})
    assert scrobbles.findtext("scrobble/artist") == "Air <3"
    ignored = scrobbles.find("scrobble/ignoredMessage")
    assert ignored is not None
    assert ignored.attrib == {"code": "0"}
    (play,) = decode_submission(world.log.records[0].value).plays
    assert (play.artist, play.title, play.album) == ("Air <3", "Sexy & Boy", "Moon Safari")
    assert (play.played_at, play.duration_ms) == (now * 1000, 298_000)
    assert play.track_id == "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"


async def test_a_batch_tells_what_was_ignored(world: World, client: httpx.AsyncClient) -> None:
    now = int(time.time())
    fields: dict[str, str] = {}
    rows = [
        ("Air", "One", str(now), 0),
        ("", "Two", str(now), 1),
        ("Air", " ", str(now), 2),
        ("Air", "Four", "5", 3),
        ("Air", "Five", str(now + 7200), 4),
        ("Air", "Six", "", 3),
        ("A\x00", "Seven", str(now), 1),
    ]
    for index, (artist, track, stamp, _) in enumerate(rows):
        fields |= {
            f"artist_{index}": artist,
            f"track_{index}": track,
            f"timestamp_{index}": stamp,
        }
    answer = await call(client, method="Track.Scrobble", format="json", **fields)
    body = answer.json()["scrobbles"]
    assert answer.status_code == 200
    assert body["@attr"] == {"accepted": 1, "ignored": 6}
    codes = [int(item["ignoredMessage"]["code"]) for item in body["scrobble"]]
    assert codes == [code for *_, code in rows]
    plays, *letters = world.log.records
    assert len(decode_submission(plays.value).plays) == 1
    assert len(letters) == 6
    kept = msgspec.json.decode(letters[0].value, type=DeadLetter)
    assert (kept.topic, kept.key) == ("http:/2.0/", b"ada")


async def test_one_scrobble_in_json_is_an_object(client: httpx.AsyncClient) -> None:
    answer = await call(
        client, method="track.scrobble", format="json", artist_0="a", track_0="b",
        timestamp_0="1700000000",
    )  # fmt: skip
    body = answer.json()["scrobbles"]
    assert body["scrobble"]["artist"] == {"#text": "a", "corrected": "0"}
    assert body["scrobble"]["timestamp"] == "1700000000"


async def test_fifty_one_are_too_many(client: httpx.AsyncClient) -> None:
    fields = {f"{n}_{i}": "1700000000" for i in range(51) for n in ("artist", "track", "timestamp")}
    answer = await call(client, method="track.scrobble", format="json", **fields)
    assert answer.json()["error"] == 6
    del fields["artist_50"], fields["track_50"], fields["timestamp_50"]
    answer = await call(client, method="track.scrobble", format="json", **fields)
    assert answer.json()["scrobbles"]["@attr"]["accepted"] == 50


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({}, 6, 400),
        ({"method": "geo.getTopArtists"}, 3, 400),
        ({"method": "track.scrobble"}, 6, 400),
        ({"method": "track.scrobble", "sk": "nope", "artist": "a", "track": "b"}, 9, 403),
        ({"method": "track.scrobble", "sk": "", "artist": "a", "track": "b"}, 9, 403),
        ({"method": "track.scrobble", "sk": "analyst-token"}, 9, 403),
        ({"method": "track.love", "artist": "a"}, 6, 400),
        ({"method": "user.getInfo", "sk": ""}, 17, 403),
        ({"method": "user.getInfo", "user": "bob"}, 17, 403),
    ],
)
async def test_errors(
    client: httpx.AsyncClient, fields: dict[str, str], code: int, status: int
) -> None:
    answer = await call(client, **fields, format="json")
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    root = xml(await call(client, **fields))
    assert root.attrib == {"status": "failed"}
    assert root[0].attrib == {"code": str(code)}


async def test_a_broker_that_is_down_is_a_16(world: World, client: httpx.AsyncClient) -> None:
    world.log.down = True
    scrobble = {"artist": "a", "track": "b", "timestamp": "1700000000"}
    for method in ("track.scrobble", "track.love"):
        answer = await call(client, method=method, format="json", **scrobble)
        assert (answer.status_code, answer.json()["error"]) == (503, 16)


async def test_accounts_that_are_down_are_a_16(client: httpx.AsyncClient) -> None:
    answer = await call(
        client, method="auth.getMobileSession", username="ada", password="x", format="json"
    )
    assert answer.json()["error"] == 16


async def test_a_token_is_its_own_session(client: httpx.AsyncClient) -> None:
    answer = await call(
        client, method="auth.getMobileSession", username="ada", password="ada-token", format="json"
    )
    assert answer.json() == {"session": {"name": "ada", "key": "ada-token", "subscriber": 0}}


async def test_love_and_unlove(world: World, client: httpx.AsyncClient) -> None:
    for method, kind in (("track.love", "love"), ("track.unlove", "undo")):
        world.log.records.clear()
        assert xml(await call(client, method=method, artist="Air", track="Run")).text is None
        (record,) = world.log.records
        assert record.topic == "segue.feedback"
        assert json.loads(record.value)["kind"] == kind


async def test_audioscrobbler_handshake_refusals(client: httpx.AsyncClient) -> None:
    now = str(int(time.time()))
    for query, reply in (
        ({"hs": "true", "p": "1.2.1", "u": "ada", "t": "5", "a": "x"}, "BADTIME\n"),
        ({"hs": "true", "p": "1.1", "u": "ada", "t": now, "a": "x"}, "FAILED only"),
        ({"hs": "true", "p": "1.2.1", "u": "ada", "t": now, "a": "x"}, "FAILED The service"),
    ):
        assert (await client.get("/", params=query)).text.startswith(reply)
    assert (await client.get("/")).headers["location"] == "/docs"


async def test_audioscrobbler_submission(world: World, client: httpx.AsyncClient) -> None:
    body = form(
        s="ada-token", a_0="Air", t_0="Run", i_0="1700000000", o_0="P", r_0="", l_0="250",
        b_0="Talkie Walkie", n_0="", m_0="",
    )  # fmt: skip
    assert (await client.post("/audioscrobbler/protocol_1.2", content=body)).text == "OK\n"
    (play,) = decode_submission(world.log.records[0].value).plays
    assert (play.artist, play.title, play.duration_ms) == ("Air", "Run", 250_000)
    bad = body.replace(b"ada-token", b"nope")
    assert (await client.post("/audioscrobbler/protocol_1.2", content=bad)).text == "BADSESSION\n"
    world.log.down = True
    answer = await client.post("/audioscrobbler/protocol_1.2", content=body)
    assert answer.text.startswith("FAILED ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["method", "artist[0]", "track[0]", "timestamp[0]", "sk", "format", "s"]),
        st.text(max_size=30) | st.sampled_from(["track.scrobble", "json", "ada-token"]),
    ).map(lambda fields: urlencode(fields, errors="replace").encode()),
    path=st.sampled_from([URL, "/audioscrobbler/protocol_1.2", "/api/auth/"]),
)
async def test_hostile_forms_never_break_the_server(
    client: httpx.AsyncClient, body: bytes, path: str
) -> None:
    answer = await client.post(path, content=body)
    assert answer.status_code < 500


async def test_a_bad_key_is_told_from_none(client: httpx.AsyncClient) -> None:
    """Players log in again after 9, and only then."""
    for method in ("user.getInfo", "user.getRecentTracks", "user.getTopArtists", "track.getInfo"):
        fields = {"method": method, "format": "json", "artist": "a", "track": "t"}
        bad = await client.post(URL, content=form(**fields, sk="gone", api_key="x"))
        assert (bad.status_code, bad.json()["error"]) == (403, 9), method
        none = await client.post(URL, content=form(**fields, api_key="x"))
        assert (none.status_code, none.json()["error"]) == (403, 17), method
        other = await call(client, **fields, user="eve")
        assert other.json()["error"] == 17, method
        # A token as the api_key is known; PostgreSQL is away in this test.
        widget = await client.post(URL, content=form(**fields, api_key="ada-token"))
        assert (widget.status_code, widget.json()["error"]) == (503, 16), method


def test_a_list_is_an_array_however_long() -> None:
    for count in range(3):
        node = Node("toptracks", children=[Node("track", "x")] * count, holds="track")
        assert node.json() == {"track": ["x"] * count}
        assert ElementTree.fromstring(node.xml()).findall("track").__len__() == count


async def test_what_a_chart_cannot_be_asked(client: httpx.AsyncClient) -> None:
    for fields in (
        {"method": "user.getTopArtists", "period": "2day"},
        {"method": "user.getTopTracks", "limit": "many"},
        {"method": "library.removeScrobble", "artist": "a", "track": "t"},
        {"method": "track.getInfo", "artist": "a"},
    ):
        answer = await call(client, format="json", **fields)
        assert answer.json()["error"] == 6, fields
