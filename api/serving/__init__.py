"""Answers to listeners: recommendations, similar tracks, trends, feedback, reports."""
