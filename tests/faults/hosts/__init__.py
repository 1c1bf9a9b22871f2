"""Several hosts on one machine: each has a network of its own, and connections can be cut."""
