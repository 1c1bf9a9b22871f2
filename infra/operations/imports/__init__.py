"""A listener's history from other services, through the same door as every other play."""
