"""All jobs as one Flink job, so that the log is read once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import (
    EnvironmentSettings,
    Schema,
    StatementSet,
    StreamTableEnvironment,
    TableEnvironment,
)

from contracts.settings import Settings
from contracts.topics import Topics
from streams.flink.connection import options as sql_options
from streams.flink.connection import properties
from streams.flink.decoder import ROW_TYPE, STAGE, DecodePlays
from streams.flink.options import Options
from streams.flink.rows import Row
from streams.flink.statements import file_sink, interval, job, kafka_sink, statements
from streams.flink.uids import name_operators

#: Of the job in Flink's own lists.
NAME = "segue"
_DAY = 86_400
#: Column types of the tables that the decoder's rows make.
_COLUMNS = {"played_at": "BIGINT", "received_at": "BIGINT", "trace": "BIGINT"} | {
    "heard": "BOOLEAN",
    "late": "BOOLEAN",
}


def configuration(options: Options) -> Configuration:
    """Return Flink's settings of a run."""
    conf = Configuration()
    values = {
        "pipeline.name": NAME,
        "parallelism.default": str(options.parallelism),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        # Days and hours are those of UTC, regardless of the host's time zone.
        "table.local-time-zone": "UTC",
        # A second delivery comes within the bound or is late; a day more is the longest outage
        # after which the job resumes without an effect on the results.
        "table.exec.state.ttl": f"{options.bound + _DAY} s",
        "table.exec.source.idle-timeout": f"{options.idle} s",
        "table.exec.uid.generation": "DISABLED",  # streams.flink.uids names the operators
        **options.conf,
    }
    for key, value in values.items():
        conf.set_string(key, value)
    return conf


def stream(settings: Settings, options: Options) -> StreamExecutionEnvironment:
    """Return the streaming job, not started yet."""
    env = StreamExecutionEnvironment.get_execution_environment(configuration(options))
    table_env = StreamTableEnvironment.create(
        env, environment_settings=EnvironmentSettings.in_streaming_mode()
    )
    topics = Topics(settings.namespace)
    named: set[int] = set()
    name_operators("plays", [_plays(table_env, settings, options)], named)
    transformations = env._j_stream_execution_environment.getTransformations
    for name in options.jobs:
        before = len(transformations())
        inserts = table_env.create_statement_set()
        sink = kafka_sink(topics.results[name], settings)
        _add(table_env, inserts, job(name, sink=sink, run=0))
        inserts.attach_as_datastream()
        name_operators(name, list(transformations())[before:], named)
    return env


def batch(options: Options) -> StatementSet:
    """Return the same job over files, not started yet."""
    assert options.files is not None
    assert options.out is not None
    chosen = EnvironmentSettings.new_instance().in_batch_mode()
    table_env = TableEnvironment.create(chosen.with_configuration(configuration(options)).build())
    for statement in statements("files", folder=options.files.as_uri()):
        table_env.execute_sql(statement)
    inserts = table_env.create_statement_set()
    for name in options.jobs:
        sink = file_sink(options.out / name)
        _add(table_env, inserts, job(name, sink=sink, run=options.run, batch=True))
    return inserts


def _add(table_env: TableEnvironment, inserts: StatementSet, parts: Iterable[str]) -> None:
    for statement in parts:
        if statement.startswith("INSERT"):
            inserts.add_insert_sql(statement)
        else:
            table_env.execute_sql(statement)


def _plays(table_env: StreamTableEnvironment, settings: Settings, options: Options) -> Any:
    """Make the views ``plays`` and ``late_plays``; return the last operator before ``plays``."""
    source = statements(
        "source",
        topic=Topics(settings.namespace).plays,
        kafka=sql_options(properties(settings)),
        group=f"{settings.namespace}.{STAGE}",
        bound=interval(options.bound),
        idle=f"{options.idle} s",
        ends="'scan.bounded.mode' = 'latest-offset'," if options.bounded else "",
    )
    for statement in source:
        table_env.execute_sql(statement)
    messages = table_env.sql_query("SELECT `key`, `value`, `partition`, `offset` FROM messages")
    # Over to a stream and back, for two reasons: Python reads the messages by the rules of the
    # other folds, and SQL cannot name another time attribute than that of the source, while the
    # bridge can. The watermarks stay those of the source, which are per partition.
    decoded = (
        table_env.to_data_stream(messages)
        .process(DecodePlays(settings, options.bound), output_type=ROW_TYPE)
        .name("decode")
        .uid("decode")
    )
    everything = table_env.from_data_stream(
        decoded, _schema("played_at").column_by_expression("seen", "PROCTIME()").build()
    )
    table_env.create_temporary_view("deliveries", everything)
    timely = table_env.sql_query("SELECT * FROM deliveries WHERE NOT late")
    table_env.create_temporary_view("timely", timely)
    arrivals = _schema("received_at").column_by_expression(
        "day", "DATE_FORMAT(TO_TIMESTAMP_LTZ(played_at, 3), 'yyyy-MM-dd')"
    )
    table_env.create_temporary_view(
        "arrivals", table_env.from_data_stream(decoded, arrivals.build())
    )
    late = table_env.sql_query("SELECT * FROM arrivals WHERE late")
    table_env.create_temporary_view("late_plays", late)
    for statement in statements("plays"):
        table_env.execute_sql(statement)
    # Over to a stream and back once more: every statement reads the same stream. From the view
    # each of them would know second deliveries by a state of its own.
    once = table_env.to_data_stream(table_env.sql_query("SELECT * FROM first_deliveries"))
    names = [name for name in Row._fields if name not in ("received_at", "late")]
    table_env.create_temporary_view(
        "plays", table_env.from_data_stream(once, _schema("played_at", names).build())
    )
    return once._j_data_stream.getTransformation()


def _schema(time: str, names: Iterable[str] = Row._fields) -> Schema.Builder:
    builder = Schema.new_builder()
    for name in names:
        builder.column(name, _COLUMNS.get(name, "STRING"))
    builder.column_by_expression("at", f"TO_TIMESTAMP_LTZ({time}, 3)")
    return builder.watermark("at", "SOURCE_WATERMARK()")
