"""What the layers promise each other: events, ids, topics, the feature store, settings, errors."""
