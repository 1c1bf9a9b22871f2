"""Spotify: what its Web API still offers: recently played and single look-ups."""
