"""The catalogue over HTTP: pages of artists and tracks, search, stations."""
