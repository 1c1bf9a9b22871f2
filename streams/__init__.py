"""Kafka in; Redis, the model, the lake and PostgreSQL out: the processes that fold the play log."""
