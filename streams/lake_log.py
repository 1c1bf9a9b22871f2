"""The lake's rows as the messages that Kafka once held, in the log's order.

A sink of the lake appends each message once, with its partition and offset (:mod:`contracts.lake`).
So the rows of one log, sorted by offset and position, are the log again, except for messages that
were refused or erased: the lake has no row of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from contracts.lake import app_id, whole_id
from contracts.lake_tables import TablePlace
from contracts.topics import Kind
from streams.decode import Absent, Record
from streams.lake_messages import MESSAGES, PLACE

#: Rows of one slice: some 100 MB while they become messages.
SLICE_ROWS = 100_000


class LakeLog:
    """The messages of one log that the newest version of a table holds.

    Parameters
    ----------
    table
        The opened version.
    place
        Where it is stored.
    kind
        One of :data:`streams.lake_messages.MESSAGES`.
    """

    def __init__(self, table: DeltaTable, place: TablePlace, kind: Kind, log_id: str) -> None:
        self._table = table
        self._place = place
        self._kind = kind
        self._log_id = log_id

    def held(self, partition: int) -> range:
        """Return the offsets of a partition that the table has applied without a loss.

        Raises
        ------
        StoreUnavailable
            The table cannot be read.
        """
        try:
            last = self._table.transaction_version(app_id(self._log_id, partition))
            whole_from = self._table.transaction_version(whole_id(self._log_id, partition))
        except (DeltaError, OSError) as error:
            raise self._place.trouble(error) from None
        return range(whole_from or 0, 0 if last is None else last + 1)

    def next_slice(self, wanted: Mapping[int, range]) -> dict[int, list[Record]]:
        """Return the messages at the beginning of each range, some 100,000 rows together.

        The same share of every range is read, so the partitions advance together, as they did when
        the messages were new. If the last message of a slice has no row, a record with ``absent``
        is in its place, so the offsets advance even if all messages were refused.

        Parameters
        ----------
        wanted
            Partition -> offsets, each part of :meth:`held`.

        Raises
        ------
        StoreUnavailable
            The table cannot be read.
        """
        try:
            share = min(1.0, SLICE_ROWS / max(1.0, self._rows(wanted)))
            parts = {
                p: range(each.start, each.start + math.ceil(len(each) * share))
                for p, each in wanted.items()
            }
            schema, records_of = MESSAGES[self._kind]
            rows = self._table.to_pyarrow_dataset().to_table(
                columns=schema.names, filter=self._filter(parts)
            )
        except (DeltaError, OSError) as error:
            raise self._place.trouble(error) from None
        # Delta stores microseconds; files that another process rewrote have string views.
        rows = _sorted(rows.cast(schema))
        found: dict[int, list[Record]] = {p: [] for p in parts}
        for partition, record in records_of(rows):
            found[partition].append(record)
        for p, records in found.items():
            last = parts[p].stop - 1
            if not records or records[-1].offset < last:
                records.append(Record(last, None, absent=Absent.NO_ROW))
        return found

    def _rows(self, wanted: Mapping[int, range]) -> float:
        """Estimate the rows of the ranges: the table's rows for each offset, times the offsets."""
        files = pa.table(self._table.get_add_actions(flatten=True))
        rows = pc.sum(files["num_records"]).as_py() or 0
        offsets = sum(self.held(p).stop for p in wanted)
        return float(rows * sum(map(len, wanted.values())) / max(1, offsets))

    def _filter(self, parts: Mapping[int, range]) -> pc.Expression:
        partition, offset = pc.field("kafka_partition"), pc.field("kafka_offset")
        places = pc.scalar(False)
        for p, each in parts.items():
            places |= (partition == p) & (offset >= each.start) & (offset < each.stop)
        # The widest range again, in a form that file statistics can be compared with.
        low = min(each.start for each in parts.values())
        high = max(each.stop for each in parts.values())
        log = pc.field("log_id").cast(pa.string()) == self._log_id
        return (offset >= low) & (offset < high) & log & places


def _sorted(rows: pa.Table) -> pa.Table:
    partition, offset, position = (rows[name].to_numpy() for name in PLACE)
    return rows.take(pa.array(np.lexsort((position, offset, partition))))
