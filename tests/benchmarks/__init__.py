"""Measurements and the tools for them."""
