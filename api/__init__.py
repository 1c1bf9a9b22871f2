"""The HTTP face: ingest, recommendations, reports."""
