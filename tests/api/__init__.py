"""The HTTP API without servers: parsing, validation, rendering."""
