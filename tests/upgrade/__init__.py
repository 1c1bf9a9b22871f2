"""This version reads a home of an earlier version."""
