"""Lands the log in Snowflake: Parquet files in an internal stage, loaded by Snowpipe, exactly once.

The stage is the sink's memory. A file is named by the range of the log it holds, so what lies in
the stage says where to go on, and a range, once put, is never cut otherwise (ADR 6).
"""
