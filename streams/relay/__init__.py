"""Sends plays of listeners on to their accounts at ListenBrainz and Last.fm."""
