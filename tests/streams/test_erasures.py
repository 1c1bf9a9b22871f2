"""Every decoder skips what is erased, in any order of arrival."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.erased import Erased, Place
from contracts.erasures import Erasure, decode, encode, listener_key
from contracts.errors import InvalidEvent
from contracts.events import Feedback, Submission
from contracts.events import encode as encode_event
from contracts.ids import partition_of
from contracts.topics import Kind
from streams.decode import Decoder, Record
from tests.streams.plays import START, play, submission

#: ``received_at`` of a play at second 0.
FIRST = START * 1000 + 500
#: A place of a log that no erasure here names: times decide.
ELSEWHERE = Place(Kind.PLAYS, 0, 0)


def erase(user: str, before: int, event_id: str = "") -> Erasure:
    return Erasure(listener=listener_key(user), before=before, event_id=event_id)


def test_a_message_survives_its_encoding_and_nothing_else_passes() -> None:
    assert decode(encode(erase("ada", 5, "e"))) == erase("ada", 5, "e")
    assert b"ada" not in encode(erase("ada", 5))
    for bad in (None, b"", b"{}", b"[1]", b"\xff"):
        with pytest.raises(InvalidEvent):
            decode(bad)


def test_up_to_the_moment_and_not_beyond() -> None:
    erased = Erased()
    erased.add(erase("ada", FIRST))
    left = erased.keep(submission("ada", (0, 1), (1, 2)), ELSEWHERE)
    assert left is not None
    assert [p.title for p in left.plays] == ["Title 2"]
    assert erased.keep(submission("ada", (0, 1)), ELSEWHERE) is None
    other = submission("bob", (0, 1))
    assert erased.keep(other, ELSEWHERE) is other


def test_of_two_erasures_the_later_moment_holds_in_any_order() -> None:
    for moments in ((FIRST, FIRST + 1000), (FIRST + 1000, FIRST)):
        erased = Erased()
        for moment in moments:
            erased.add(erase("ada", moment))
        assert erased.keep(submission("ada", (0, 1), (1, 2)), ELSEWHERE) is None


def test_one_play_goes_alone() -> None:
    erased = Erased()
    gone = play("ada", 0, 1)
    erased.add(erase("ada", FIRST, gone.event_id))
    left = erased.keep(submission("ada", (0, 1), (0, 2)), ELSEWHERE)
    assert left is not None
    assert [p.title for p in left.plays] == ["Title 2"]


def test_decoders_pass_over_it_and_move_on() -> None:
    partition = partition_of("ada", 4)
    decoder = Decoder(Erased(), 4)
    decoder.erased.add(erase("ada", FIRST))
    records = [
        Record(7, encode_event(submission("ada", (0, 1)))),
        Record(8, encode_event(submission("ada", (1, 1)))),
    ]
    batch = decoder.plays(records, partition=partition, start=7)
    assert ([offset for offset, _ in batch.messages], batch.last) == ([8], 8)
    assert batch.rejected == []
    said = Feedback(
        user_id="ada", kind="love", at=FIRST, source="t", track_id="x", artist="a", title="b"
    )
    words = decoder.feedback([Record(0, encode_event(said))], partition=partition, start=0)
    assert (words.messages, words.rejected, words.last) == ([], [], 0)


def test_where_the_erasure_names_the_log_offsets_decide_and_no_clock() -> None:
    erased = Erased()
    erased.logs = {Kind.PLAYS: "log-1", Kind.FEEDBACK: "log-2"}
    hour = 3_600_000
    erased.add(
        Erasure(listener=listener_key("ada"), before=FIRST, ends={"log-1": [7, 3], "log-2": [2, 0]})
    )
    ahead = submission("ada", (0, 1), received_at=FIRST + hour)
    behind = submission("ada", (0, 1), received_at=FIRST - hour)
    assert erased.keep(ahead, Place(Kind.PLAYS, 0, 6)) is None
    assert erased.keep(behind, Place(Kind.PLAYS, 0, 7)) is behind
    assert erased.keep(ahead, Place(Kind.PLAYS, 1, 2)) is None
    assert erased.keep(behind, Place(Kind.PLAYS, 1, 3)) is behind
    assert erased.covers("ada", Place(Kind.FEEDBACK, 0, 1), FIRST + hour)
    assert not erased.covers("ada", Place(Kind.FEEDBACK, 0, 2), FIRST - hour)
    erased.logs = {Kind.PLAYS: "log-3"}  # the log was recreated: only the time is left
    assert erased.keep(ahead, Place(Kind.PLAYS, 0, 6)) is ahead
    assert erased.keep(behind, Place(Kind.PLAYS, 0, 7)) is None


def test_two_erasures_of_a_listener_add_up_over_two_logs() -> None:
    erased = Erased()
    for log_id, end in (("log-1", 5), ("log-2", 2)):
        erased.add(Erasure(listener=listener_key("ada"), before=0, ends={log_id: [end]}))
    sent = submission("ada", (0, 1))
    for log_id, end in (("log-1", 5), ("log-2", 2)):
        erased.logs = {Kind.PLAYS: log_id}
        assert erased.keep(sent, Place(Kind.PLAYS, 0, end - 1)) is None
        assert erased.keep(sent, Place(Kind.PLAYS, 0, end)) is sent


@given(
    moment=st.integers(-1, 40),
    marks=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=20),
    user=st.sampled_from(["ada", "bob"]),
)
def test_what_is_left_is_what_came_later(
    moment: int, marks: list[tuple[int, int]], user: str
) -> None:
    erased = Erased()
    erased.add(erase("ada", FIRST + 1000 * moment))
    sent = submission(user, *marks)
    left = erased.keep(sent, ELSEWHERE) or Submission(user_id=user, plays=[])
    wanted = [p for p in sent.plays if user == "bob" or p.received_at > FIRST + 1000 * moment]
    assert left.plays == wanted
