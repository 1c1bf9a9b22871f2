"""The feature store: one packed blob per listener, read in one round trip.

Layout of a blob (all numbers big-endian)::

    byte 0      layout version, 1
    byte 1      reserved, 0
    bytes 2-3   number of hidden tracks, h
    8 h bytes   keys of hidden or hated tracks
    14 n bytes  the last plays, oldest first, n <= WINDOW:
                u32 start second, u64 track key, u8 ratio, u8 flags

The window is the ``WINDOW`` latest *distinct* plays (a play is its second and track). That makes
it a function of the set of plays alone: order of arrival and redelivery cannot change it.

Keys of one listener, the fence and the counters of a partition share the cluster hash tag
``{namespace.partition}``, so one script call stays on one node.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.errors import IncompatibleState
from contracts.ids import partition_of

#: Plays kept per listener.
WINDOW = 300
LAYOUT_VERSION = 1
HEADER_BYTES = 4
FLAG_SKIPPED = 1

PLAY_DTYPE = np.dtype([("second", ">u4"), ("track", ">u8"), ("ratio", "u1"), ("flags", "u1")])
PLAY_BYTES = PLAY_DTYPE.itemsize


@dataclass(frozen=True, slots=True)
class Listener:
    """The features of a listener, as serving uses them.

    Attributes
    ----------
    seconds
        Start of each play, seconds since the epoch, UTC; shape ``(n,)``, int64, oldest first.
    tracks
        Track keys of the plays; shape ``(n,)``, uint64.
    ratios
        How much was heard, :func:`contracts.plays.heard`; shape ``(n,)``, uint8.
    hidden
        Keys of tracks never to be shown; shape ``(h,)``, uint64.

    Examples
    --------
    >>> stranger = Listener.unpack(None)
    >>> len(stranger.tracks), len(stranger.hidden)
    (0, 0)
    >>> blob = EMPTY + np.array([(1_700_000_000, 42, 100, 0)], PLAY_DTYPE).tobytes()
    >>> listener = Listener.unpack(blob)
    >>> listener.seconds.tolist(), listener.tracks.tolist(), listener.ratios.tolist()
    ([1700000000], [42], [100])
    """

    seconds: npt.NDArray[np.int64]
    tracks: npt.NDArray[np.uint64]
    ratios: npt.NDArray[np.uint8]
    hidden: npt.NDArray[np.uint64]

    @classmethod
    def unpack(cls, blob: bytes | None) -> Listener:
        """Read a blob; ``None`` gives a stranger (no plays).

        Raises
        ------
        IncompatibleState
            The blob is cut off, damaged or has another layout.
        """
        if blob is None:
            blob = EMPTY
        split = check(blob)
        plays = np.frombuffer(blob, PLAY_DTYPE, offset=split)
        hidden = np.frombuffer(blob, ">u8", count=(split - HEADER_BYTES) // 8, offset=HEADER_BYTES)
        return cls(
            seconds=plays["second"].astype(np.int64),
            tracks=plays["track"].astype(np.uint64),
            ratios=plays["ratio"].copy(),
            hidden=hidden.astype(np.uint64),
        )


EMPTY = bytes([LAYOUT_VERSION, 0, 0, 0])


def window_id(blob: bytes | None) -> str:
    """Return the name of a state of a listener's window; ``None`` is a stranger's.

    A list and an event carry it, so a client sees whether its list is older than the window.

    Examples
    --------
    >>> window_id(None)
    '00000000'
    """
    return f"{zlib.crc32(blob or b''):08x}"


def check(blob: bytes) -> int:
    """Return the byte offset at which the plays of a blob begin.

    Raises
    ------
    IncompatibleState
        The blob is cut off, damaged or has another layout.
    """
    if len(blob) < HEADER_BYTES or blob[0] != LAYOUT_VERSION:
        raise IncompatibleState("feature blob has an unknown layout version")
    split = HEADER_BYTES + 8 * int.from_bytes(blob[2:4], "big")
    if split > len(blob) or (len(blob) - split) % PLAY_BYTES:
        raise IncompatibleState(f"feature blob of {len(blob)} bytes is torn")
    return split


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of Redis keys in one namespace.

    Examples
    --------
    >>> Keys("segue", 4).listener("ada")
    '{segue.0}:listener:ada'
    """

    namespace: str
    partitions: int

    def tag(self, partition: int) -> str:
        """Return the cluster hash tag of a partition."""
        return f"{{{self.namespace}.{partition}}}"

    def listener(self, user_id: str) -> str:
        """Key of a listener's blob."""
        return f"{self.tag(partition_of(user_id, self.partitions))}:listener:{user_id}"

    def playing_now(self, user_id: str) -> str:
        """Key of the track playing now (JSON, expires with the track)."""
        return f"{self.tag(partition_of(user_id, self.partitions))}:playing-now:{user_id}"

    def fence(self, partition: int) -> str:
        """Hash ``log id -> last applied offset`` of a partition."""
        return f"{self.tag(partition)}:fence"

    def complete(self, partition: int) -> str:
        """Key that exists once a partition's blobs hold the log up to some recent moment.

        If it is missing, the store is new or has lost its data. A listener without a blob is then
        not necessarily a stranger.
        """
        return f"{self.tag(partition)}:complete"

    def counts(self, partition: int) -> str:
        """Hash of counters: ``<log id>:plays`` applied, ``:kept``, ``:duplicate``, ``:late``."""
        return f"{self.tag(partition)}:counts"

    def lastfm_login(self, token: str) -> str:
        """Key of a Last.fm login that waits for consent, then holds the listener (expires)."""
        return f"{self.namespace}:lastfm-token:{token[:64]}"

    @property
    def lastfm_logins(self) -> str:
        """Pattern of all keys of :meth:`lastfm_login`."""
        return f"{self.namespace}:lastfm-token:*"

    def failed_logins(self, who: str, minute: int) -> str:
        """Key of a count of failed logins (expires); contains a hash of the name or address."""
        hashed = hashlib.sha256(who.encode()).hexdigest()
        return f"{self.namespace}:failed-logins:{minute}:{hashed}"

    def requests(self, window: int) -> str:
        """Hash of the requests of a window of time (expires): hash of the caller -> count."""
        return f"{self.namespace}:requests:{window}"

    def web_session(self, secret: str) -> str:
        """Key of a session of the pages (expires); contains a hash of the id, not the id."""
        return f"{self.namespace}:web:session:{hashlib.sha256(secret.encode()).hexdigest()}"

    def web_link(self, code: str) -> str:
        """Key of the token of a sign-in link (expires); contains a hash of the code."""
        return f"{self.namespace}:web:link:{hashlib.sha256(code.encode()).hexdigest()}"

    @property
    def trending(self) -> str:
        """Hash of the newest trending lists: message key -> the message as JSON.

        It lies in the same Cluster slot as :attr:`trending_positions`, because one transaction
        writes both.
        """
        return f"{{{self.namespace}.results}}:trending"

    @property
    def trending_positions(self) -> str:
        """Hash ``<log id>:<partition> -> next offset``: how far the lists are read."""
        return f"{{{self.namespace}.results}}:trending-positions"

    @property
    def untagged_trending(self) -> tuple[str, str]:
        """Names that an earlier version used for the two keys above; no process reads them."""
        return f"{self.namespace}:trending", f"{self.namespace}:trending-positions"

    @property
    def workers(self) -> str:
        """Hash ``worker name -> heartbeat``."""
        return f"{self.namespace}:workers"

    @property
    def every(self) -> tuple[str, str]:
        """Patterns of all keys of the namespace; they also match those of ``<namespace>.other``."""
        return f"{{{self.namespace}.*}}:*", f"{self.namespace}:*"

    def owns(self, key: str) -> bool:
        """Whether a key belongs to this namespace.

        Examples
        --------
        >>> keys = Keys("segue", 4)
        >>> keys.owns("{segue.3}:fence"), keys.owns(keys.trending), keys.owns(keys.workers)
        (True, True, True)
        >>> keys.owns("{segue.b.3}:fence"), keys.owns("segue2:workers")
        (False, False)
        """
        name = re.escape(self.namespace)
        return re.match(rf"\{{{name}\.(\d+|results)\}}:|{name}:", key) is not None

    @property
    def posted(self) -> str:
        """Channel on which the API wakes workers after a post."""
        return f"{self.namespace}:posted"

    @property
    def events(self) -> str:
        """Channel of the events of listeners (:mod:`contracts.listener_events`)."""
        return f"{self.namespace}:events"
