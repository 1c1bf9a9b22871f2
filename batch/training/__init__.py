"""Training of the batch view: who played what, two models over it, and how good they are."""
