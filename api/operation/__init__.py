"""What an operator asks: workers and their lag, runs, the audit trail, erasures."""
