"""The servers of the embedded stack and the supervisor that runs them."""
