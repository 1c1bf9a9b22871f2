"""Operators keep their names when a statement changes."""

from __future__ import annotations

from itertools import count

from streams.flink.uids import name_operators

_IDS = count()


class Operator:
    """As much of a Java transformation as the names depend on."""

    def __init__(self, name: str, *inputs: Operator, uid: str | None = None) -> None:
        self._id, self._name, self._inputs, self._uid = next(_IDS), name, inputs, uid

    def getId(self) -> int:
        return self._id

    def getName(self) -> str:
        return self._name

    def getInputs(self) -> tuple[Operator, ...]:
        return self._inputs

    def getUid(self) -> str | None:
        return self._uid

    def setUid(self, uid: str) -> None:
        self._uid = uid


def uids(*names: str) -> list[str | None]:
    """Return the names that a chain of operators gets, the last one first."""
    chain: list[Operator] = []
    for name in reversed(names):
        chain.append(Operator(name, *chain[-1:]))
    name_operators("job", chain[-1:], set())
    return [operator.getUid() for operator in reversed(chain)]


def test_a_filter_more_renames_no_window() -> None:
    before = uids("job[5]: Writer", "Window[4]", "Calc[3]", "Window[2]", "Source: x")
    after = uids("job[8]: Writer", "Calc[7]", "Window[6]", "Calc[5]", "Calc[4]", "Window[3]", "S")
    assert before == ["job.job.1", "job.Window.1", "job.Calc.1", "job.Window.2", "job.Source.1"]
    assert [name for name in after if name and "Window" in name] == ["job.Window.1", "job.Window.2"]


def test_what_has_a_name_keeps_it_and_what_is_shared_is_named_once() -> None:
    source = Operator("Source: x")
    shared = Operator("decode", source, uid="decode")
    named: set[int] = set()
    name_operators("plays", [shared], named)
    first, second = Operator("Calc[1]", shared), Operator("Calc[1]", shared)
    name_operators("a", [first], named)
    name_operators("b", [second], named)
    assert (source.getUid(), shared.getUid()) == ("plays.Source.1", "decode")
    assert (first.getUid(), second.getUid()) == ("a.Calc.1", "b.Calc.1")
