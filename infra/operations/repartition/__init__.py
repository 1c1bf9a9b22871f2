"""Copies the log of a namespace into a new one with more partitions (docs/repartition.md)."""
