"""Experiments: defined, started, ended and read."""
