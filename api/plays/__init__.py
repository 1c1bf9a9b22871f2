"""Segue's own ingest: POST /v1/plays."""
