"""The ListenBrainz protocol, as its clients speak it."""
