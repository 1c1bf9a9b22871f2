"""Staging: facts from the sources, in PostgreSQL tables whose constraints validate them."""
