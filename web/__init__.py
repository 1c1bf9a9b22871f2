"""The pages: server-rendered, an ordinary client of our own API with the visitor's token."""
