"""The account behind a token: who it is, sessions, tokens, settings."""
