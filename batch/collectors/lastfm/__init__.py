"""Last.fm: plays of a listener, and what it knows of artists, tracks and tags."""
