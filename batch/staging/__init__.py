"""Staging: what sources told us, in PostgreSQL tables whose constraints do the validating."""
