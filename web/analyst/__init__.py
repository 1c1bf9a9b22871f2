"""Pages of an analyst."""
