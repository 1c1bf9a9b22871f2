"""Everything held of one listener, as one archive."""
