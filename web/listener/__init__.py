"""Pages of a listener."""
