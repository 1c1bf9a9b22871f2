"""Charts drawn by the server: SVG with real text, and the same figures as a table below each."""
