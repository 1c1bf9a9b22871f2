"""How far each log has been folded into the model, kept in the model's own arrays."""

from __future__ import annotations

from online_model.errors import ModelError, TooManyOffsets
from online_model.state import OFFSETS, State

_WIDTH = 64


def read_offsets(state: State) -> dict[tuple[str, int], int]:
    """Return ``{(log_id, partition): offset}``."""
    found = {}
    for row in range(min(int(state.counters[OFFSETS]), len(state.offset_values))):
        log_id = bytes(state.offset_logs[row]).rstrip(b"\0").decode("utf-8", "replace")
        found[log_id, int(state.offset_partitions[row])] = int(state.offset_values[row])
    return found


def total_offset(state: State) -> int:
    """Return the sum of all offsets. It is cheap: every list that is served carries it."""
    return int(state.offset_values[: int(state.counters[OFFSETS])].sum())


def write_offset(state: State, log_id: str, partition: int, offset: int) -> None:
    """Set the offset of one partition of one log.

    Raises
    ------
    ModelError
        If the log id is empty or longer than 64 bytes.
    TooManyOffsets
        If the table has no room for the partitions of this log.
    """
    name = log_id.encode()
    if not 0 < len(name) <= _WIDTH or b"\0" in name:
        raise ModelError(f"a log id has 1 to {_WIDTH} bytes and no zero byte, not {log_id!r}")
    padded = name.ljust(_WIDTH, b"\0")
    count = int(state.counters[OFFSETS])
    for row in reversed(range(count)):  # the log of today is among the last
        if (
            int(state.offset_partitions[row]) == partition
            and bytes(state.offset_logs[row]) == padded
        ):
            state.offset_values[row] = offset
            return
    if count == len(state.offset_values):
        if bytes(state.offset_logs[0]) == padded:
            raise TooManyOffsets(count)
        count = _forget_oldest_log(state)
    state.offset_logs[count] = list(padded)
    state.offset_partitions[count] = partition
    state.offset_values[count] = offset
    state.counters[OFFSETS] = count + 1


def _forget_oldest_log(state: State) -> int:
    """Drop the log met first; return how many rows are left.

    Every restart of a broker that keeps its log in memory begins another log, and no offset of the
    one before means anything any more.
    """
    kept = (state.offset_logs != state.offset_logs[0]).any(axis=1)
    count = int(kept.sum())
    for array in (state.offset_logs, state.offset_partitions, state.offset_values):
        array[:count] = array[kept]
        array[count:] = 0
    state.counters[OFFSETS] = count
    return count
