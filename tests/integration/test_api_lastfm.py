"""Last.fm's protocols with their real client and on real stores."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pylast
import pytest
from typer.testing import CliRunner

from infra.cli.commands.keys import app as keys
from infra.operations.erasure.run import run_pending
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack
from tests.integration.tls import TlsFront

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def front(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsFront]:
    """The API behind TLS, trusted by pylast."""
    made = TlsFront(stack.settings.port, tmp_path_factory.mktemp("tls"))
    before = pylast.SSL_CONTEXT
    pylast.SSL_CONTEXT = ssl.create_default_context(cafile=str(made.ca))
    yield made
    pylast.SSL_CONTEXT = before
    made.stop()


@pytest.fixture
def token_of(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a token for scrobblers with the command people use; returns its JSON."""
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", stack.settings.postgres_dsn)

    def make(user: str) -> dict[str, Any]:
        result = CliRunner().invoke(keys, ["create", user, "--scrobbler", "--json"])
        assert result.exit_code == 0, result.output
        made: dict[str, Any] = json.loads(result.stdout)
        return made

    return make


def network(front: TlsFront) -> Any:
    """Return pylast pointed at our server."""
    made = pylast.LastFMNetwork(api_key="any", api_secret="thing")
    made.ws_server = (f"127.0.0.1:{front.port}", "/2.0/")
    return made


def refusal(call: Callable[[], Any]) -> str | None:
    """Return the code a call is refused with, ``None`` when it is not."""
    try:
        call()
    except pylast.WSError as error:
        return str(error.status)
    return None


def test_pylast_end_to_end(stack: RunningStack, front: TlsFront, token_of: Any) -> None:
    """Log in with authToken, scrobble 60 in batches of 50, love, read back; unmodified client."""
    key = token_of("pia")
    net = network(front)
    login = pylast.SessionKeyGenerator(net)
    net.session_key = login.get_session_key("pia", pylast.md5(key["token"]))
    assert net.session_key == login.get_session_key("pia", pylast.md5(key["token"]))
    now = int(time.time())
    net.scrobble_many(
        [
            {
                "artist": "Stereolab",
                "title": f"Track {i % 20}",
                "timestamp": now - 200 * (60 - i),
                "album": "Dots and Loops",
                "duration": 200,
                "mbid": "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae" if i == 0 else "",
            }
            for i in range(60)
        ]
    )
    net.update_now_playing("Stereolab", "Brakhage", duration=330)
    net.get_track("Stereolab", "Track 1").love()
    net.get_track("Stereolab", "Track 1").unlove()
    stack.wait_applied(90, ("history-sink", "learner", "listeners"))
    user = net.get_user("pia")
    assert user.get_playcount() == 60
    recent = user.get_recent_tracks(limit=5)
    assert [int(played.timestamp) for played in recent] == [now - 200 * (i + 1) for i in range(5)]
    assert recent[0].album == "Dots and Loops"
    assert len(user.get_recent_tracks(limit=None)) == 60
    assert str(user.get_now_playing()) == "Stereolab - Brakhage"
    answer = httpx.get(
        f"{stack.api}/v1/users/pia/recommendations",
        headers={"authorization": f"Bearer {key['token']}"},
        timeout=60,
    ).json()
    assert answer["stranger"] is False
    # Taking the token back ends the session it made.
    assert CliRunner().invoke(keys, ["revoke", key["id"]]).exit_code == 0

    def refused() -> bool:
        return refusal(lambda: net.scrobble("a", "b", now)) == "9"

    assert wait_until(refused, 90)
    again = pylast.md5(key["token"])
    assert refusal(lambda: login.get_session_key("pia", again)) == "4"


def test_what_players_read(stack: RunningStack, front: TlsFront, token_of: Any) -> None:
    """Charts, love, tracks and artists, through the unmodified client and as JSON."""
    key = token_of("pira")
    net: Any = network(front)
    net.session_key = key["token"]
    now = int(time.time())
    plays = [("Faust", "Jennifer", 3), ("Faust", "Krautrock", 2), ("Cluster", "Zum Wohl", 1)]
    listed = [(artist, title) for artist, title, count in plays for _ in range(count)]
    net.scrobble_many(
        [
            {
                "artist": artist, "title": title, "timestamp": now - 400 * (i + 1),
                "album": "IV" if artist == "Faust" else "Zuckerzeit", "duration": 240,
            }
            for i, (artist, title) in enumerate(listed)
        ]
    )  # fmt: skip
    net.get_track("Faust", "Krautrock").love()
    stack.wait_applied(90, ("history-sink", "learner", "listeners"))
    user = net.get_user("pira")
    for period in (pylast.PERIOD_OVERALL, pylast.PERIOD_7DAYS):
        artists = user.get_top_artists(period=period)
        assert [(str(top.item), int(top.weight)) for top in artists] == [
            ("Faust", 5),
            ("Cluster", 1),
        ]
    assert [str(top.item) for top in user.get_top_albums()] == [
        "Faust - IV",
        "Cluster - Zuckerzeit",
    ]
    assert [int(top.weight) for top in user.get_top_tracks(limit=2)] == [3, 2]
    weeks = user.get_weekly_chart_dates()
    if weeks:  # on a Monday the plays of today are in no whole week yet
        user.get_weekly_artist_charts(*weeks[-1])
    monday = int(now // 604_800 * 604_800)
    chart = user.get_weekly_track_charts(str(monday - 604_800), str(now + 60))
    assert (str(chart[0].item), int(chart[0].weight)) == ("Faust - Jennifer", 3)
    assert [str(loved.track) for loved in user.get_loved_tracks()] == ["Faust - Krautrock"]
    track: Any = pylast.Track("Faust", "Krautrock", net, username="pira")
    assert (int(track.get_userplaycount()), track.get_userloved()) == (2, True)
    assert track.get_duration() == 240_000
    artist: Any = pylast.Artist("faust", net, username="pira")
    assert int(artist.get_userplaycount()) == 5
    assert artist.get_similar() == []
    tracks = artist.get_top_tracks()
    assert [str(top.item) for top in tracks] == ["faust - Jennifer", "faust - Krautrock"]

    def read(**fields: str) -> Any:
        return sent(stack, sk=key["token"], **fields)

    unknown = read(method="track.getInfo", artist="Nobody", track="Nothing")
    assert unknown["error"] == 6
    recent = read(method="user.getRecentTracks", limit="1", extended="1")["recenttracks"]["track"]
    assert (recent[0]["artist"]["name"], recent[0]["loved"]) == ("Faust", "0")
    plain = read(method="user.getRecentTracks", limit="1")["recenttracks"]["track"]
    assert plain[0]["artist"]["#text"] == "Faust"
    assert plain[0]["image"][2] == {"#text": "", "size": "large"}
    assert plain[0]["url"] == "https://www.last.fm/music/Faust/_/Jennifer"
    top = read(method="user.getTopArtists", limit="1")["topartists"]
    assert (top["artist"][0]["@attr"], top["@attr"]["total"]) == ({"rank": "1"}, "2")
    assert read(method="user.getLovedTracks", page="2")["lovedtracks"]["track"] == []
    # A widget has the token as its api_key and no session.
    widget = sent(stack, method="user.getRecentTracks", user="pira", api_key=key["token"])
    assert widget["recenttracks"]["@attr"]["total"] == "6"
    # Deleting: not with a session that may only scrobble.
    gone = {"artist": "Cluster", "track": "Zum Wohl", "timestamp": str(now - 400 * 6)}
    session = sent(stack, method="auth.getSession", token=consented(stack, key["token"]))
    only = session["session"]["key"]
    assert sent(stack, method="library.removeScrobble", sk=only, **gone)["error"] == 4
    stack.finish_erasures()
    assert read(method="library.removeScrobble", **gone) == {}
    assert run_pending(stack.settings, settle=0) == (1, 1)
    assert read(method="user.getInfo")["user"]["playcount"] == "5"


def test_pylast_logs_in_through_the_browser(
    stack: RunningStack, front: TlsFront, token_of: Any
) -> None:
    key = token_of("pola")
    net = network(front)
    net.homepage = stack.api
    login = pylast.SessionKeyGenerator(net)
    url = login.get_web_auth_url()
    assert refusal(lambda: login.get_web_auth_session_key(url)) == "14"
    page = httpx.get(url, timeout=60)
    assert page.status_code == 200
    token = url.rpartition("token=")[2]
    assert token in page.text
    agreed = httpx.post(f"{stack.api}/api/auth/", data={"token": token, "key": "wrong"}, timeout=60)
    assert agreed.status_code == 401
    agreed = httpx.post(
        f"{stack.api}/api/auth/", data={"token": token, "key": key["token"]}, timeout=60
    )
    assert agreed.status_code == 200
    session, name = login.get_web_auth_session_key_username(url)
    assert name == "pola"
    net.session_key = session
    net.scrobble("Broadcast", "Tears in the Typing Pool", int(time.time()))
    assert refusal(lambda: login.get_web_auth_session_key(url)) == "14"  # a token is good once


def sent(stack: RunningStack, **fields: str) -> dict[str, Any]:
    """Return the answer to a call of the protocol."""
    answer: dict[str, Any] = httpx.post(
        f"{stack.api}/2.0/", data={"format": "json", **fields}, timeout=60
    ).json()
    return answer


def scrobbles(stack: RunningStack, key: str) -> bool:
    """Whether a session key may scrobble."""
    stamp = str(int(time.time()))
    answer = sent(stack, method="track.scrobble", sk=key, artist="a", track="b", timestamp=stamp)
    return "scrobbles" in answer


def consented(stack: RunningStack, key: str) -> str:
    """Return a login token that the owner of an API token has consented to."""
    token: str = sent(stack, method="auth.getToken")["token"]
    agreed = httpx.post(f"{stack.api}/api/auth/", data={"token": token, "key": key}, timeout=60)
    assert agreed.status_code == 200
    return token


def test_a_session_of_the_browser_ends_with_the_token_that_allowed_it(
    stack: RunningStack, token_of: Any
) -> None:
    key = token_of("paula")
    waiting, used = consented(stack, key["token"]), consented(stack, key["token"])
    session = sent(stack, method="auth.getSession", token=used)["session"]["key"]
    assert scrobbles(stack, session)
    assert CliRunner().invoke(keys, ["revoke", key["id"]]).exit_code == 0
    assert sent(stack, method="auth.getSession", token=waiting)["error"] == 14
    assert wait_until(lambda: not scrobbles(stack, session), 90)
    # One that expires: the session ends with it, although the session itself was not changed.
    other = token_of("paula")
    session = sent(stack, method="auth.getSession", token=consented(stack, other["token"]))
    session = session["session"]["key"]
    assert scrobbles(stack, session)
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        connection.execute(
            "update tokens set expires_at = now() where encode(token_hash, 'hex') like %s",
            (f"{other['id']}%",),
        )
    assert wait_until(lambda: not scrobbles(stack, session), 90)


def test_a_session_scrobbles_and_does_nothing_else(stack: RunningStack) -> None:
    """The token that allows it may do more; "let this player scrobble for me" is all it gives."""
    token = stack.token_for("pepa", ("client", "listener"))
    session = sent(stack, method="auth.getSession", token=consented(stack, token))
    session = session["session"]["key"]
    assert scrobbles(stack, session)
    assert sent(stack, method="user.getRecentTracks", sk=session)["recenttracks"]["@attr"]
    assert sent(stack, method="track.love", sk=session, artist="a", track="b") == {}
    headers = {"authorization": f"Token {session}"}
    with httpx.Client(base_url=stack.api, headers=headers, timeout=60) as client:
        play = {"artist": "a", "title": "b", "played_at": int(time.time()) * 1000}
        assert client.post("/v1/plays", json={"plays": [play]}).status_code == 202
        assert client.get("/1/user/pepa/listens").status_code == 200
        of_another = {"plays": [{**play, "user": "petra"}]}
        msid = {"listened_at": 1, "recording_msid": "0" * 8 + "-0000-0000-0000-" + "0" * 12}
        refused = [
            client.post("/v1/plays", json=of_another),
            client.get("/1/user/petra/listens"),
            client.get("/v1/users/pepa/export"),
            client.get("/v1/users/pepa/recommendations"),
            client.delete("/v1/users/pepa"),
            client.post("/1/delete-listen", json=msid),
            client.get("/1/stats/user/pepa/artists"),
        ]
        assert [answer.status_code for answer in refused] == [403] * len(refused)


def test_a_new_password_ends_the_sessions_of_the_old_one(
    stack: RunningStack, token_of: Any
) -> None:
    token_of("pavla")

    def set_password(text: str) -> None:
        result = CliRunner().invoke(keys, ["password", "pavla"], input=f"{text}\n")
        assert result.exit_code == 0, result.output

    def log_in(text: str) -> dict[str, Any]:
        return sent(stack, method="auth.getMobileSession", username="pavla", password=text)

    set_password("the old password")
    session = log_in("the old password")["session"]["key"]
    assert scrobbles(stack, session)
    set_password("the new password")
    assert wait_until(lambda: not scrobbles(stack, session), 90)
    assert log_in("the old password")["error"] == 4
    assert scrobbles(stack, log_in("the new password")["session"]["key"])


def test_a_pasted_token_is_password_and_session_key(stack: RunningStack, token_of: Any) -> None:
    token = token_of("petra")["token"]

    def call(**fields: str) -> dict[str, Any]:
        answer = httpx.post(f"{stack.api}/2.0/", data={"format": "json", **fields}, timeout=60)
        made: dict[str, Any] = answer.json()
        return made

    made = call(method="auth.getMobileSession", username="petra", password=token)
    assert made["session"]["key"] == token
    assert call(method="auth.getMobileSession", username="petra", password="no")["error"] == 4
    assert call(method="auth.getMobileSession", username="other", password=token)["error"] == 4
    stamp = str(int(time.time()))
    made = call(method="track.scrobble", sk=token, artist="a", track="b", timestamp=stamp)
    assert made["scrobbles"]["@attr"] == {"accepted": 1, "ignored": 0}


def test_audioscrobbler_as_mpdscribble_speaks_it(stack: RunningStack, token_of: Any) -> None:
    key = token_of("mia")
    token = key["token"]
    stamp = str(int(time.time()))
    proof = pylast.md5(pylast.md5(token) + stamp)
    query = {
        "hs": "true", "p": "1.2", "c": "mdc", "v": "0.24", "u": "mia", "t": stamp, "a": proof,
    }  # fmt: skip
    lines = httpx.get(f"{stack.api}/", params=query, timeout=60).text.splitlines()
    assert lines[0] == "OK"
    session, now_playing, submit = lines[1:]
    assert len(session) == 32  # VLC keeps so many and no more
    # VLC takes an address without a port for none; a Host without one means port 80. A name in it
    # may be anybody's: the server's own address is given then.
    own = stack.api.removeprefix("http://")
    hosts = {"music.example": own, "localhost": "localhost:80", "127.0.0.1:9": "127.0.0.1:9"}
    for host, base in hosts.items():
        called = httpx.get(f"{stack.api}/", params=query, headers={"host": host}, timeout=60).text
        assert called.splitlines()[3] == f"http://{base}/audioscrobbler/protocol_1.2"
    playing = {"s": session, "a": "Neu!", "t": "Hallogallo", "b": "Neu!", "l": "610", "n": "1"}
    assert httpx.post(now_playing, data=playing, timeout=60).text == "OK\n"
    plays = {"s": session}
    for i in range(3):
        plays |= {
            f"a[{i}]": "Neu!", f"t[{i}]": f"Track {i}", f"i[{i}]": str(int(stamp) - 600 * i),
            f"o[{i}]": "P", f"r[{i}]": "", f"l[{i}]": "610", f"b[{i}]": "Neu!", f"n[{i}]": "",
            f"m[{i}]": "",
        }  # fmt: skip
    assert httpx.post(submit, data=plays, timeout=60).text == "OK\n"
    assert httpx.post(submit, data={**plays, "s": "gone"}, timeout=60).text == "BADSESSION\n"
    wrong = httpx.get(f"{stack.api}/", params={**query, "a": "0" * 32}, timeout=60).text
    assert wrong == "BADAUTH\n"
    headers = {"authorization": f"Token {token}"}
    url = f"{stack.api}/1/user/mia/listen-count"
    assert wait_until(
        lambda: httpx.get(url, headers=headers, timeout=60).json()["payload"]["count"] == 3, 90, 0.3
    )
    # Other roles end the session; the player gets error 9 and logs in again, to another session.
    assert CliRunner().invoke(keys, ["roles", key["id"], "--role", "listener"]).exit_code == 0
    assert wait_until(lambda: httpx.post(submit, data=plays, timeout=60).text == "BADSESSION\n", 90)
    after = httpx.get(f"{stack.api}/", params=query, timeout=60).text.splitlines()[1]
    assert after != session
    assert httpx.post(submit, data={**plays, "s": after}, timeout=60).text == "OK\n"
    assert httpx.get(f"{stack.api}/", params=query, timeout=60).text.splitlines()[1] == after


def test_reading_the_plays_of_another_is_on_record(stack: RunningStack, token_of: Any) -> None:
    token_of("rita")
    asked = {"format": "json", "sk": stack.admin_token, "user": "rita"}
    for method in ("user.getInfo", "user.getRecentTracks"):
        assert httpx.post(
            f"{stack.api}/2.0/", data={**asked, "method": method}, timeout=60
        ).is_success
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        rows = connection.execute(
            "select action, origin from audit where subject = pseudonym('rita')"
            " and actor = pseudonym('admin') and action like 'data.%'"
        ).fetchall()
    assert rows == [("data.read", "127.0.0.1")]
