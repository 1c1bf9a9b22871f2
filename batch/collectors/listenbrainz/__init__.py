"""ListenBrainz: listens of a user, from any server that speaks its API."""
