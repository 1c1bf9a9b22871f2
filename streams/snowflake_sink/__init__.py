"""Lands the log in Snowflake: Parquet files in an internal stage, loaded by Snowpipe, exactly once.

The stage is the sink's memory. A file's name is the range of the log it holds, so the newest files
in the stage show where to resume, and a range, once put, is never cut differently (ADR 6).
"""
