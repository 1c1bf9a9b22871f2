"""The diagrams name the workers, topics and steps that the code has, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batch.nightly import STEPS
from contracts.topics import Kind
from contracts.workers import BY_NAME, WORKERS
from tests.conftest import ROOT

DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PARTICIPANT = re.compile(r"^ *participant (\w+)(?: as (.+))?$", re.MULTILINE)
# Outside our registries: stores, people and services.
OTHERS = {
    "player", "app or page", "nightly", "Redis", "PostgreSQL", "Delta table", "mapped model",
    "mapped arrays", "snapshot file", "Snowflake stage", "RAW tables", "ListenBrainz or Last.fm",
}  # fmt: skip


def blocks(path: Path, begins: str = "") -> list[str]:
    """Return the diagrams of a page that begin with a word."""
    return [block for block in _BLOCK.findall(path.read_text()) if block.startswith(begins)]


def participants(block: str) -> set[str]:
    """Return the labels of the participants of a sequence diagram."""
    return {label or name for name, label in _PARTICIPANT.findall(block)}


def section(block: str, name: str) -> list[str]:
    """Return the labels of the nodes of a subgraph."""
    found = re.search(rf"subgraph {name}\[.*?\]\n(.*?)^ *end$", block, re.MULTILINE | re.DOTALL)
    assert found is not None
    return re.findall(r'\[\(?"([^"]+)"\)?\]', found[1])


def test_the_architecture_has_every_worker_and_topic() -> None:
    block = blocks(DOCS / "architecture.md", "flowchart LR")[0]
    labels = section(block, "front") + section(block, "behind")
    marked = {label.partition(" (")[0]: label for label in labels}
    assert set(marked) == {spec.name for spec in WORKERS}
    for spec in WORKERS:
        assert ("(" in marked[spec.name]) == spec.optional, marked[spec.name]
    topics = [topic for label in section(block, "kafka") for topic in label.split(", ")]
    assert sorted(topics) == sorted(kind.value for kind in Kind)


def test_every_fold_has_the_order_of_its_commit() -> None:
    text = (DOCS / "guarantees.md").read_text()
    sections = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL))
    for spec in WORKERS:
        if not spec.folds:
            continue
        (block,) = _BLOCK.findall(sections[spec.name])
        assert spec.name in participants(block)
        read = [label for label in participants(block) if label.startswith("topic")]
        topics = {name for label in read for name in re.split(r"topics? |, ", label) if name}
        assert topics == {kind.value for kind in spec.reads} | {Kind.DEAD_LETTERS.value}


def test_the_night_has_the_steps_in_order() -> None:
    block = blocks(DOCS / "architecture.md", "flowchart LR")[1]
    assert re.findall(r"\w+", block.partition("\n")[2]) == list(STEPS)


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_a_participant_is_a_worker_a_topic_or_a_store(path: Path) -> None:
    topics = {kind.value for kind in Kind}
    for block in blocks(path, "sequenceDiagram"):
        for label in participants(block):
            named = re.fullmatch(r"topics? (.+)", label)
            if named is not None:
                assert set(named[1].split(", ")) <= topics, label
            else:
                assert label in BY_NAME or label in OTHERS, f"{path.name}: {label}"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_no_message_has_a_semicolon(path: Path) -> None:
    """Mermaid reads a semicolon as the end of a statement and shows an error instead."""
    for block in blocks(path, "sequenceDiagram"):
        assert ";" not in block
