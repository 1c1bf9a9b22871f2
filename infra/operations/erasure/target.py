"""What is to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Days for which Snowflake's support can still restore permanent tables after time travel.
FAIL_SAFE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Target:
    """One listener, or one play of one.

    Attributes
    ----------
    before_ms
        Milliseconds since the epoch, UTC, by PostgreSQL's clock: rows that processes wrote into
        PostgreSQL later stay.
    event_id
        The one play; ``None``: everything.
    ends
        Log id -> end offset of each partition when the erasure was written. Rows from these
        offsets on are new and stay; rows of other logs are older and go.
    """

    user_id: str
    before_ms: int
    event_id: str | None = None
    ends: dict[str, list[int]] = field(default_factory=dict)

    def keeps(self, log_id: str, partition: int, offset: int) -> bool:
        """Return whether a message at this place came after the erasure."""
        return log_id in self.ends and offset >= self.ends[log_id][partition]

    def kept(self) -> str:
        """Return :meth:`keeps` as an SQL condition.

        For tables with the columns ``log_id``, ``kafka_partition`` and ``kafka_offset``. It holds
        no value that a user typed.
        """
        places = [
            f"(log_id = '{log_id}' and kafka_partition = {partition} and kafka_offset >= {end:d})"
            for log_id, ends in sorted(self.ends.items())
            for partition, end in enumerate(ends)
        ]
        return f"({' or '.join(places)})" if places else "false"
