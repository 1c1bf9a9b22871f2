"""Event time on the play log: windows and patterns as SQL, run by Apache Flink.

Runs in an environment of its own (``.venv-flink``). ``sql/`` holds the statements; ``statements``
reads them, ``rows`` makes plays of a message, ``job`` puts all into one Flink job.
"""
