"""Names of operators, by which state is found again after a statement has changed.

Flink's own names count all operators of a plan, so one more filter or job renames everything that
follows. These count the operators of one kind in one job, such as ``sessions.WindowAggregate.1``:
filters come and go, jobs are added, and each window aggregation still finds its state.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

#: ``WindowAggregate[12]`` and ``sessions[13]: Writer`` -> the letters before the number.
_KIND = re.compile(r"[A-Za-z]+")


def name_operators(job: str, ends: Iterable[Any], named: set[int]) -> None:
    """Give each operator of a job a name; those that have one keep it.

    Parameters
    ----------
    ends
        The job's last operators, as Java transformations in the order of its statements.
    named
        Ids of the operators that are named already; those of this job are added.
    """
    count: Counter[str] = Counter()
    waiting = list(ends)[::-1]
    while waiting:
        operator = waiting.pop()
        if operator.getId() in named:
            continue
        named.add(operator.getId())
        kind = kind_of(operator.getName())
        count[kind] += 1
        if operator.getUid() is None:
            operator.setUid(f"{job}.{kind}.{count[kind]}")
        waiting += list(operator.getInputs())[::-1]


def kind_of(name: str) -> str:
    """Return the kind of an operator.

    Examples
    --------
    >>> kind_of("WindowAggregate[12]"), kind_of("sessions[13]: Writer")
    ('WindowAggregate', 'sessions')
    """
    found = _KIND.match(name)
    return found[0] if found else "operator"
