"""Erases a listener, or one play, from every store; ADR 15 lists what remains where."""
