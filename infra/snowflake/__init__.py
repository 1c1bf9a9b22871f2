"""The objects of a Snowflake account, as SQL that may be applied again and again."""
