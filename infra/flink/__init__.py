"""Flink on one machine: its environment, its process, its REST interface."""
