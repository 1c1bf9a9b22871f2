"""Histories that listeners upload as files."""
