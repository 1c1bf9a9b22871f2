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


def write_offset(state: State, log_id: str, partition: int, offset: int) -> None:
    """Set the offset of one partition of one log.

    Raises
    ------
    ModelError
        If the log id is empty or longer than 64 bytes.
    TooManyOffsets
        If the table is full.
    """
    name = log_id.encode()
    if not 0 < len(name) <= _WIDTH or b"\0" in name:
        raise ModelError(f"a log id has 1 to {_WIDTH} bytes and no zero byte, not {log_id!r}")
    padded = name.ljust(_WIDTH, b"\0")
    count = int(state.counters[OFFSETS])
    for row in range(count):
        if (
            int(state.offset_partitions[row]) == partition
            and bytes(state.offset_logs[row]) == padded
        ):
            state.offset_values[row] = offset
            return
    if count == len(state.offset_values):
        raise TooManyOffsets(count)
    state.offset_logs[count] = list(padded)
    state.offset_partitions[count] = partition
    state.offset_values[count] = offset
    state.counters[OFFSETS] = count + 1
