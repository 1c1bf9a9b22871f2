"""A Snowflake for tests, on a real socket: fakesnow with its gaps closed, and Snowpipe's REST API.

The real connector, dbt-snowflake and snowflake-ingest talk to it unmodified. It is an emulation on
DuckDB: what passes here need not run on Snowflake (docs/snowflake.md lists what it cannot show).
"""
