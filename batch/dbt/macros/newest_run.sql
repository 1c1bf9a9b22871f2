{#
    Which rows of what Flink published count, as the condition of a `qualify`: of each day those of
    the newest run (a batch run counts late plays too and replaces the day), and of each key the row
    that landed last, since a job may publish a result twice.
#}
{% macro newest_run(at, keys) -%}
    run = max(run) over (partition by cast({{ at }} as date))
    and row_number() over (
        partition by run, {{ keys | join(', ') }}
        order by landed_at desc, kafka_offset desc
    ) = 1
{%- endmacro %}
