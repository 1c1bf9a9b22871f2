{# Where an incremental run starts reading: a little before the newest row it has seen, or at the
   beginning where the table holds nothing yet (the first night brought only rejected plays, or the
   only listener was erased).

   The watermark is when a row *landed*, not when it was played, so a play that arrives days late
   is read by the next run however old it is. #}
{% macro look_back(column) -%}
    (
        select
            coalesce(
                {{ dbt.dateadd('hour', -1 * var('landing_look_back_hours'), 'max(' ~ column ~ ')') }},
                {{ first_play() }}
            )
        from {{ this }}
    )
{%- endmacro %}
