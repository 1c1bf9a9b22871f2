"""The documentation site: pages generated from the code, and the folder that MkDocs reads."""
