"""Which rows change when plays turn out to be one, and when they are taken apart again."""

from __future__ import annotations

import pytest

from streams.duplicates import ReportedPlay, enrich
from streams.settle import Key, _Changes
from tests.streams.test_duplicates import told

FIRST, SECOND, THIRD = told(0, "a"), told(4, "b", ms_played=200_000), told(9, "c")


def key(play: ReportedPlay) -> Key:
    return play.user_id, play.event_id


def rows(*plays: ReportedPlay) -> dict[Key, ReportedPlay]:
    return {key(play): play for play in plays}


def note(
    members: list[ReportedPlay], shown: dict[Key, ReportedPlay], heads: dict[Key, str] | None = None
) -> _Changes:
    changes = _Changes()
    changes.note(members, shown, heads or {})
    return changes


def test_a_play_of_its_own_changes_nothing() -> None:
    changes = note([FIRST], rows(FIRST))
    assert (changes.events, changes.show, changes.merge, changes.notes) == ([], [], [], [])
    assert not changes.counts


def test_two_reports_become_one_row_and_the_reason_is_kept() -> None:
    changes = note([FIRST, SECOND], rows(FIRST, SECOND))
    assert changes.events == [key(FIRST), key(SECOND)]
    assert changes.show == [enrich([FIRST, SECOND])]
    assert changes.merge == [(FIRST, FIRST.event_id), (SECOND, FIRST.event_id)]
    assert changes.counts == {"ada": -1}
    (one,) = changes.notes
    assert one[:3] == ("ada", SECOND.event_id, FIRST.event_id)
    assert "b reported it 4 s after a" in one[3]


def test_what_the_tables_have_already_is_not_written_again() -> None:
    heads = {key(FIRST): FIRST.event_id, key(SECOND): FIRST.event_id}
    assert note([FIRST, SECOND], rows(enrich([FIRST, SECOND])), heads).events == []


def test_a_third_report_joins_without_a_second_note_of_the_others() -> None:
    heads = {key(FIRST): FIRST.event_id, key(SECOND): FIRST.event_id}
    shown = rows(enrich([FIRST, SECOND]), THIRD)
    changes = note([FIRST, SECOND, THIRD], shown, heads)
    assert [noted[1] for noted in changes.notes] == [THIRD.event_id]
    assert changes.counts == {"ada": -1}
    assert changes.show[0].clients == ["a", "b", "c"]


def test_an_earlier_report_that_arrives_late_becomes_the_head() -> None:
    heads = {key(SECOND): SECOND.event_id, key(THIRD): SECOND.event_id}
    shown = rows(FIRST, enrich([SECOND, THIRD]))
    changes = note([FIRST, SECOND, THIRD], shown, heads)
    assert {head for _, head in changes.merge} == {FIRST.event_id}
    assert [noted[1:3] for noted in changes.notes] == [
        (SECOND.event_id, FIRST.event_id), (THIRD.event_id, FIRST.event_id),
    ]  # fmt: skip
    assert changes.counts == {"ada": -1}


@pytest.mark.parametrize("alone", [FIRST, SECOND])
def test_what_is_kept_apart_stands_for_itself_again(alone: ReportedPlay) -> None:
    """Both rows of a merge are separated: one is shown again, and the other as it was reported."""
    heads = {key(FIRST): FIRST.event_id, key(SECOND): FIRST.event_id}
    changes = note([alone], rows(enrich([FIRST, SECOND])), heads)
    assert changes.show == [alone]
    assert changes.merge == []
    assert changes.counts == {"ada": 0 if alone is FIRST else 1}
    assert [noted[2] for noted in changes.notes] == ([] if alone is FIRST else [None])
