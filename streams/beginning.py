"""Reads messages that a fold has not applied and Kafka's retention has deleted.

They come from the lake, which holds every play and all feedback with their offsets. If the lake
lacks some as well, they are lost: the worker exits with an error that names them, unless
``SEGUE_ACCEPT_CUT_LOG=1`` accepts the loss. After these messages the fold reads from Kafka.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from contracts.errors import Terminal
from contracts.kafka import begin_offsets
from contracts.lake_tables import lake_place, lake_table
from contracts.topics import Kind, Topic
from contracts.workers import LAKE_SINK
from streams.decode import Absent, Record
from streams.errors import PositionLost
from streams.worker import Worker

if TYPE_CHECKING:
    from streams.lake_log import LakeLog

log = logging.getLogger(__name__)
#: What the lake holds as whole messages. Kafka keeps all other kinds for a while by design.
_IN_LAKE = (Kind.PLAYS, Kind.FEEDBACK)


class LogCutOff(Terminal):
    """Neither Kafka nor the lake holds the next message of a fold."""


class Beginning:
    """The messages of a topic with lower offsets than the first one that Kafka still holds."""

    def __init__(self, worker: Worker, topic: Topic, log_id: str) -> None:
        self._worker = worker
        self._topic = topic
        self._log_id = log_id

    def next_records(self, positions: Mapping[int, int]) -> dict[int, list[Record]]:
        """Return the next messages that Kafka has deleted, in the log's order.

        The records of a partition continue at the position of the fold. They may lack offsets: a
        message without a row in the lake was refused or erased. Waits for the broker and the lake.

        Parameters
        ----------
        positions
            Partition -> next offset of the fold.

        Returns
        -------
        dict[int, list[Record]]
            Partition -> records; empty if Kafka holds the next message of every partition.

        Raises
        ------
        LogCutOff
            Messages are lost, and the settings do not accept that.
        """
        gaps = self._gaps(positions)
        if not gaps:
            return {}
        return self._worker.patiently(lambda: self._read(gaps), "lake")

    def check(self, positions: Mapping[int, int]) -> None:
        """Return if Kafka holds the next message of every partition.

        Raises
        ------
        PositionLost
            It does not: the next start of the worker reads the lake.
        """
        if gaps := self._gaps(positions):
            raise PositionLost(f"{self._topic}: Kafka has deleted {_listed(gaps)}")

    def _gaps(self, positions: Mapping[int, int]) -> dict[int, range]:
        begins = self._worker.patiently(
            lambda: begin_offsets(self._worker.settings, self._topic, list(positions)), self._topic
        )
        return {p: range(at, begins[p]) for p, at in positions.items() if begins[p] > at}

    @property
    def _lake_has_it(self) -> bool:
        return self._topic.kind in _IN_LAKE and self._worker.name != LAKE_SINK.name

    def _read(self, gaps: Mapping[int, range]) -> dict[int, list[Record]]:
        self._worker.status.set_state("starting", f"{self._topic}: reads {_listed(gaps)}")
        lake = self._open()
        held = {p: range(0) if lake is None else lake.held(p) for p in gaps}
        lost = {p: _outside(gap, held[p]) for p, gap in gaps.items()}
        if any(part for parts in lost.values() for part in parts):
            self._refuse(lost)
        records: dict[int, list[Record]] = {}
        wanted: dict[int, range] = {}
        for p, gap in gaps.items():
            if before := lost[p][0]:
                log.warning(
                    "%s: SEGUE_ACCEPT_CUT_LOG=1, continues without %s",
                    self._topic,
                    _listed({p: before}),
                )
                self._worker.status.add(messages_lost=len(before))
                records[p] = [Record(before.stop - 1, None, absent=Absent.LOST)]
            else:
                wanted[p] = range(gap.start, min(gap.stop, held[p].stop))
        if lake is not None and wanted:
            found = lake.next_slice(wanted)
            self._worker.status.add(from_lake=sum(map(len, found.values())))
            records |= found
        return records

    def _open(self) -> LakeLog | None:
        """Return the newest version of the table, so that no erased row is read.

        ``None``: there is no table. The import is here because the library takes 60 MB and the lake
        is rarely needed.
        """
        if not self._lake_has_it:
            return None
        from streams.lake_log import LakeLog

        place = lake_table(self._worker.settings, self._topic.kind.table)
        table = place.open()
        return None if table is None else LakeLog(table, place, self._topic.kind, self._log_id)

    def _refuse(self, lost: Mapping[int, tuple[range, range]]) -> None:
        """Raise :class:`LogCutOff`, unless the settings or the kind of topic accept the loss."""
        if self._topic.kind not in _IN_LAKE or self._worker.settings.accept_cut_log:
            return
        where = "Kafka has deleted them"
        if self._lake_has_it:
            where += f" and the lake ({lake_place(self._worker.settings)}) lacks them"
        before, after = ({p: parts[i] for p, parts in lost.items()} for i in (0, 1))
        parts = ", ".join(filter(None, (_listed(before), _listed(after))))
        raise LogCutOff(
            f"{self._topic}: {self._worker.name} needs {parts}, but {where}. Restore the lake, or "
            "a store with a higher offset (a backup, a snapshot of the model), or set "
            "SEGUE_ACCEPT_CUT_LOG=1 to continue without them (docs/retention.md)"
        )


def _outside(gap: range, held: range) -> tuple[range, range]:
    """Return the offsets of a gap that come before, and after, those that the lake holds.

    Examples
    --------
    >>> _outside(range(2, 9), range(4, 7)), _outside(range(2, 9), range(4))
    ((range(2, 4), range(7, 9)), (range(2, 2), range(4, 9)))
    >>> _outside(range(2, 9), range(2))
    (range(2, 9), range(9, 9))
    """
    first, stop = max(gap.start, held.start), min(gap.stop, held.stop)
    if first >= stop:
        return gap, range(gap.stop, gap.stop)
    return range(gap.start, first), range(stop, gap.stop)


def _listed(parts: Mapping[int, range]) -> str:
    return ", ".join(
        f"offsets {part.start} to {part.stop - 1} of partition {p}"
        for p, part in sorted(parts.items())
        if part
    )
