"""The catalogue: artists, tracks, albums and tags of all sources, each entity once."""
