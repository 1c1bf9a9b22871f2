"""Posting a file of plays through the HTTP API and proving that every store holds each one."""
