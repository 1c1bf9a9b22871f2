"""A home of an earlier version is read on."""
