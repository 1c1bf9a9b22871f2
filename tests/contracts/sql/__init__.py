"""Checks every SQL text of the repository against the tables and views the migrations make."""
