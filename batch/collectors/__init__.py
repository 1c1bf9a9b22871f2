"""Collectors: what services and files know about music and plays, fetched exactly once."""
