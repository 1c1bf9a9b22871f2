"""Real players, unmodified, play tagged files; what they send is what the history shows.

`make players` and Debian's packages bring them; what is missing is skipped by name.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from infra.cli.commands.keys import app as keys
from infra.stack.ports import free_ports
from infra.stack.process import Process, wait_until
from tests.conftest import ROOT
from tests.integration.conftest import RunningStack
from tests.integration.tls import LASTFM, TlsFront

pytestmark = pytest.mark.integration

PLAYERS = ROOT / ".players"
#: Both protocols want a track of more than 30 s; the players measure real time.
SECONDS = 31
TAGS = [
    ("Сергей & Ко <«фит.»>", "千本桜 100%+", "Ночь"),
    ("Motörhead", "Ace of Spades", "Ace of Spades"),
]


def needs(*programs: str) -> None:
    """Skip where a program or a package of a player is not there."""
    for name in programs:
        there = shutil.which(name) or (PLAYERS / name).exists()
        if not there:
            pytest.skip(f"player not installed: {name}")


@dataclass
class World:
    """The API, and what a player is given."""

    stack: RunningStack
    front: TlsFront
    folder: Path
    music: Path
    processes: ExitStack

    def token(self, user: str) -> str:
        """Make a token as a person does for a player."""
        result = CliRunner().invoke(keys, ["create", user, "--scrobbler", "--json"])
        assert result.exit_code == 0, result.output
        made: str = json.loads(result.stdout)["token"]
        return made

    def start(self, name: str, command: list[str], **environ: str) -> Process:
        """Start a player; it is stopped at the end."""
        log = self.folder / f"{name}.log"
        process = Process(name, command, log, env={**os.environ, **environ})
        process.start()
        self.processes.callback(process.stop)
        return process

    def listens(self, user: str) -> list[dict[str, Any]]:
        """Return what a listener has played, oldest first."""
        headers = {"authorization": f"Token {self.stack.admin_token}"}
        answer = httpx.get(f"{self.stack.api}/1/user/{user}/listens", headers=headers, timeout=60)
        if answer.status_code != 200:
            return []
        shown: list[dict[str, Any]] = answer.json()["payload"]["listens"]
        return shown[::-1]

    def now(self, user: str) -> str:
        """Return the title a listener hears now."""
        headers = {"authorization": f"Token {self.stack.admin_token}"}
        answer = httpx.get(
            f"{self.stack.api}/1/user/{user}/playing-now", headers=headers, timeout=60
        )
        shown = answer.json()["payload"]["listens"] if answer.status_code == 200 else []
        return shown[0]["track_metadata"]["track_name"] if shown else ""


@pytest.fixture(scope="module")
def world(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("players")
    front = TlsFront(stack.settings.port, folder)
    music = folder / "music"
    music.mkdir()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as processes:
        patch.setenv("SEGUE_POSTGRES_DSN", stack.settings.postgres_dsn)
        yield World(stack, front, folder, music, processes)
    front.stop()


def record(world: World) -> None:
    """Write the files the players play: silence with tags."""
    silence = world.folder / "silence.raw"
    silence.write_bytes(bytes(2 * 8000 * SECONDS))
    raw = (
        "--force-raw-format --endian=little --channels=1 --bps=16 --sample-rate=8000 --sign=signed"
    )
    for i, (artist, title, album) in enumerate(TAGS):
        tags = [
            f"--tag={n}={v}"
            for n, v in zip(("ARTIST", "TITLE", "ALBUM"), (artist, title, album), strict=True)
        ]
        target = world.music / f"{i}.flac"
        done = subprocess.run(
            ["flac", "--silent", "-f", *raw.split(), *tags, "-o", str(target), str(silence)],
            env={**os.environ, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def mpd(world: World) -> None:
    """Start mpd and mpdscribble and play."""
    (port,) = free_ports(1)
    home = world.folder / "mpd"
    home.mkdir()
    token = world.token("mpd-listener")
    (home / "mpd.conf").write_text(
        f"""
music_directory "{world.music}"
db_file "{home}/database"
bind_to_address "127.0.0.1"
port "{port}"
audio_output {{
    type "null"
    name "silence"
}}
"""
    )
    (home / "mpdscribble.conf").write_text(
        f"""
host = 127.0.0.1
port = {port}
verbose = 2
log = -
[segue]
url = {world.stack.api}/
username = mpd-listener
password = {token}
journal = {home}/journal
"""
    )

    def say(*lines: str) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            talk = connection.makefile("rw", encoding="utf-8", newline="\n")
            assert talk.readline().startswith("OK MPD")
            for line in lines:
                talk.write(f"{line}\n")
                talk.flush()
                ends = (each for each in talk if each.startswith(("OK", "ACK")))
                answer = next(ends, "the connection ended")
                assert answer.startswith("OK"), answer

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    world.start("mpd", ["mpd", "--no-daemon", "--stderr", str(home / "mpd.conf")])
    assert wait_until(listening, 90, 0.1)
    scribble = ["mpdscribble", "--no-daemon", "--conf", str(home / "mpdscribble.conf")]
    world.start("mpdscribble", scribble)
    say("update")
    assert wait_until(lambda: _listed(say), 90, 0.3)
    assert wait_until(
        lambda: "handshake" in (world.folder / "mpdscribble.log").read_text(), 90, 0.2
    )
    say("play 0")


def _listed(say: Callable[..., None]) -> bool:
    try:
        say("add 0.flac", "add 1.flac")
    except AssertionError:  # not in the database yet
        return False
    return True


def mopidy(world: World) -> None:
    """Start Mopidy with its ListenBrainz extension and play."""
    (port,) = free_ports(1)
    home = world.folder / "mopidy"
    home.mkdir()
    token = world.token("mopidy-listener")
    (home / "mopidy.conf").write_text(
        f"""
[core]
cache_dir = {home}/cache
config_dir = {home}/config
data_dir = {home}/data
[audio]
output = fakesink sync=true
[http]
hostname = 127.0.0.1
port = {port}
[file]
media_dirs = {world.music}
[listenbrainz]
token = {token}
url = 127.0.0.1:{world.front.port}
import_playlists = true
"""
    )
    # The extension asks MusicBrainz about a track with an MBID and ends if it cannot be reached.
    # It leaves out a track of which nothing is known.
    (home / "sitecustomize.py").write_text(
        "import musicbrainzngs\nmusicbrainzngs.get_recording_by_id = lambda *_, **__: {}\n"
    )
    world.start(
        "mopidy",
        ["/usr/bin/python3", "-m", "mopidy", "-v", "--config", str(home / "mopidy.conf")],
        PYTHONPATH=f"{home}{os.pathsep}{PLAYERS / 'python'}",
        REQUESTS_CA_BUNDLE=str(world.front.ca),
        HOME=str(home),
    )

    def rpc(method: str, **params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(f"http://127.0.0.1:{port}/mopidy/rpc", json=body, timeout=60)
        assert "error" not in answer.json(), answer.text
        return answer.json()["result"]

    def answers() -> bool:
        try:
            return bool(rpc("core.get_version"))
        except httpx.TransportError:
            return False

    assert wait_until(answers, 90, 0.3)
    assert "Disabled extension listenbrainz" not in (world.folder / "mopidy.log").read_text()
    uris = [f"file://{world.music}/{i}.flac" for i in range(len(TAGS))]
    assert len(rpc("core.tracklist.add", uris=uris)) == len(TAGS)
    rpc("core.playback.play")


def quodlibet(world: World) -> None:
    """Start Quod Libet with its scrobbler on a screen that nobody sees, and play."""
    home = world.folder / "quodlibet"
    home.mkdir()
    (home / "config").write_text(
        f"""
[player]
gst_pipeline = fakesink sync=true
[plugins]
active_plugins = QLScrobbler
scrobbler_service = Other
scrobbler_url = {world.stack.api}/
scrobbler_username = quodlibet-listener
scrobbler_password = {world.token("quodlibet-listener")}
"""
    )
    number = 100 + os.getpid() % 10_000
    environ = {
        "DISPLAY": f":{number}",
        "QUODLIBET_USERDIR": str(home),
        "HOME": str(home),
        "NO_AT_BRIDGE": "1",
    }

    def say(*words: str) -> bool:
        command = ["quodlibet", *words]
        done = subprocess.run(
            command, env={**os.environ, **environ}, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    screen = world.start("xvfb", ["Xvfb", f":{number}", "-nolisten", "tcp"])
    assert wait_until(Path(f"/tmp/.X11-unix/X{number}").exists, 90), screen.tail(10)
    world.start("quodlibet", ["quodlibet", "--debug"], **environ)
    assert wait_until(lambda: say("--status"), 90, 0.5)
    assert say(f"--play-file={world.music / '0.flac'}")
    assert say(f"--enqueue-files={world.music / '1.flac'}")


@pytest.fixture(scope="module")
def played(world: World) -> dict[str, str]:
    """Play in every player that is there, all at once; player -> its listener."""
    players: dict[str, tuple[tuple[str, ...], Callable[[World], None]]] = {
        "mpd": (("mpd", "mpdscribble", "flac"), mpd),
        "mopidy": (("mopidy", "flac", "python"), mopidy),
        "quodlibet": (("quodlibet", "Xvfb", "flac"), quodlibet),
    }
    there = {
        name: start
        for name, (wanted, start) in players.items()
        if all(shutil.which(each) or (PLAYERS / each).exists() for each in wanted)
    }
    if there:
        record(world)
    for start in there.values():
        start(world)
    return {name: f"{name}-listener" for name in there}


def check(world: World, user: str) -> dict[str, Any]:
    """Check that the first track was counted once with its tags, and the second was begun."""
    artist, title, album = TAGS[0]

    def counted(title: str) -> list[dict[str, Any]]:
        listens = [listen["track_metadata"] for listen in world.listens(user)]
        return [each for each in listens if each["track_name"] == title]

    assert wait_until(lambda: counted(title) != [], 90, 0.5), "no listen came"
    (listen,) = counted(title)
    assert (listen["artist_name"], listen["release_name"]) == (artist, album)
    # On a busy machine another player's check may take so long that it has ended too.
    second = TAGS[1][1]
    assert wait_until(lambda: world.now(user) == second or counted(second) != [], 90, 0.5)
    info: dict[str, Any] = listen["additional_info"]
    return info


def test_mpdscribble(world: World, played: dict[str, str]) -> None:
    needs("mpd", "mpdscribble", "flac")
    info = check(world, played["mpd"])
    assert info["duration_ms"] == SECONDS * 1000


def test_mopidy(world: World, played: dict[str, str]) -> None:
    """With our lists as its playlists: the extension dies at start where it gets none."""
    needs("mopidy", "flac", "python")
    info = check(world, played["mopidy"])
    assert info["submission_client"] == "Mopidy-Listenbrainz"


def test_quod_libet(world: World, played: dict[str, str]) -> None:
    """With the address that the API's README gives: it puts a second slash behind it."""
    needs("quodlibet", "Xvfb", "flac")
    info = check(world, played["quodlibet"])
    assert info["duration_ms"] == SECONDS * 1000


#: beets speaks to Last.fm's own host: its connections to it end at the API.
MAPPED = """
import socket
connect = socket.create_connection
def create_connection(address, *more, **named):
    if tuple(address) == (HOST, 443):
        address = ("127.0.0.1", PORT)
    return connect(address, *more, **named)
socket.create_connection = create_connection
"""


def test_beets_imports_play_counts(world: World) -> None:
    needs("beet", "flac")
    pylast = subprocess.run(["/usr/bin/python3", "-c", "import pylast"], capture_output=True)
    if pylast.returncode:
        pytest.skip("player not installed: python3-pylast")
    if not any(world.music.iterdir()):
        record(world)
    user, home = "beets-listener", world.folder / "beets"
    home.mkdir()
    token = world.stack.token_for(user)
    now = int(time.time())
    payload = [
        {
            "listened_at": now - 600 * back,
            "track_metadata": {"artist_name": artist, "track_name": title},
        }
        for back, (artist, title, _) in enumerate((TAGS[0], TAGS[1], TAGS[0]), start=1)
    ]
    answer = httpx.post(
        f"{world.stack.api}/1/submit-listens",
        json={"listen_type": "import", "payload": payload},
        headers={"authorization": f"Token {token}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert wait_until(lambda: len(world.listens(user)) == 3, 90, 0.2)

    (home / "config.yaml").write_text(
        f"""
directory: {world.music}
library: {home}/library.db
plugins: lastimport
import: {{copy: no, write: no, autotag: no}}
lastfm: {{user: {user}, api_key: {token}}}
"""
    )
    mapped = MAPPED.replace("HOST", repr(LASTFM)).replace("PORT", str(world.front.port))
    (home / "sitecustomize.py").write_text(mapped)
    environ = {
        **os.environ, "BEETSDIR": str(home), "PYTHONPATH": str(home), "HOME": str(home),
        "SSL_CERT_FILE": str(world.front.ca), "LC_ALL": "C.UTF-8",
    }  # fmt: skip

    def beet(*words: str) -> str:
        done = subprocess.run(
            ["beet", *words], env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    beet("import", "-q", str(world.music))
    beet("lastimport")
    found = set(beet("ls", "-f", "$title|$play_count").splitlines())
    assert found == {f"{TAGS[0][1]}|2", f"{TAGS[1][1]}|1"}


DRIVER = """
import https from 'node:https';
import { LastFMAuth, LastFMTrack, LastFMUser } from 'PACKAGE';
const [user, password, port] = process.argv.slice(2);
https.globalAgent.defaultPort = Number(port);
const config = { hostname: '127.0.0.1', path: '/2.0/' };
const auth = new LastFMAuth('an api key', 'a secret', undefined, config);
const login = await auth.getMobileSession({ username: user, password });
const key = login.session.key;
const track = new LastFMTrack('an api key', 'a secret', key, config);
const reader = new LastFMUser('an api key', 'a secret', key, config);
const now = Math.floor(Date.now() / 1000);
await track.updateNowPlaying({ artist: 'Neu!', track: 'Isi', duration: 300 });
const one = await track.scrobble({ artist: 'Neu!', track: 'Hero', timestamp: now - 500 });
const many = await track.scrobbleMany([
  { artist: 'Neu!', track: 'Super', timestamp: now - 900 },
  { artist: '', track: 'Nobody', timestamp: now - 800 },
]);
await track.love({ artist: 'Neu!', track: 'Hero' });
let recent;
for (let i = 0; i < 100; i++) {
  recent = await reader.getRecentTracks({ user, sk: key });
  const loved = await reader.getLovedTracks({ user, sk: key });
  if (recent.recenttracks['@attr'].total === '2' && loved.lovedtracks.track.length === 1) break;
  await new Promise(resolve => setTimeout(resolve, 200));
}
const top = await reader.getTopArtists({ user, sk: key, period: 'overall' });
console.log(JSON.stringify({ one, many, recent, top }));
"""


def test_lastfm_ts_api(world: World) -> None:
    """The library of multi-scrobbler, which speaks https to port 443 by default."""
    package = PLAYERS / "node_modules" / "lastfm-ts-api" / "dist" / "index.js"
    needs("node", str(package.relative_to(PLAYERS)))
    driver = world.folder / "driver.mjs"
    driver.write_text(DRIVER.replace("PACKAGE", str(package)))
    token = world.token("node-listener")
    done = subprocess.run(
        ["node", str(driver), "node-listener", token, str(world.front.port)],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(world.front.ca)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["one"]["scrobbles"]["@attr"] == {"accepted": 1, "ignored": 0}
    assert said["many"]["scrobbles"]["@attr"] == {"accepted": 1, "ignored": 1}
    titles = [each["name"] for each in said["recent"]["recenttracks"]["track"]]
    assert titles == ["Isi", "Hero", "Super"]
    assert said["top"]["topartists"]["artist"][0]["playcount"] == "2"
