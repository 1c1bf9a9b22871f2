"""Forgetting a listener, or one play, in every store; what remains where is told in ADR 15."""
