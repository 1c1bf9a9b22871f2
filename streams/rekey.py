"""Gives the rows of the history the recording keys of this version.

The rule for one play compares reports by :func:`contracts.recordings.recording_number`. When that
function changes, rows written before have other keys, and a play reported again would not find its
first report. The sink therefore recomputes all keys once, before it writes.
"""

from __future__ import annotations

from contracts.recordings import KEY_VERSION, recording_number
from streams.settle import LOCK, Connection

_VERSION = "select version from recording_keys"
_MAPPING = "create temp table if not exists rekeyed (artist text, title text, key bigint)"
_NAMES = """
    select artist, title from plays union select artist, title from merged_plays
"""
_UPDATE = """
    update {table} as p set name_key = k.key from rekeyed as k
    where p.artist = k.artist and p.title = k.title and p.name_key is distinct from k.key
"""


def rekey(connection: Connection) -> bool:
    """Bring all keys to this version, in the transaction that is open; return whether any was old.

    The keys of a few thousand names a second are computed; the rows are then updated in two
    statements.
    """
    found = connection.execute(_VERSION).fetchone()
    if found is not None and found[0] == KEY_VERSION:
        return False
    connection.execute(LOCK)
    connection.execute(_MAPPING)
    connection.execute("truncate rekeyed")
    names = connection.execute(_NAMES).fetchall()
    with (
        connection.cursor() as cursor,
        cursor.copy("copy rekeyed (artist, title, key) from stdin") as copy,
    ):
        for artist, title in names:
            copy.write_row((artist, title, recording_number(artist, title)))
    for table in ("plays", "merged_plays"):
        connection.execute(_UPDATE.format(table=table).encode())
    connection.execute("delete from recording_keys")
    connection.execute("insert into recording_keys (version) values (%s)", (KEY_VERSION,))
    return True
