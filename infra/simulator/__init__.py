"""Simulated listeners: an invented catalogue, people with tastes, and a client that posts."""

from __future__ import annotations

from infra.simulator.client import run

__all__ = ["run"]
