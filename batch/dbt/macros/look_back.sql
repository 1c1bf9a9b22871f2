{# Where an incremental run starts reading: a little before the newest row it has seen.

   The watermark is when a row *landed*, not when it was played, so a play that arrives days late
   is read by the next run however old it is. #}
{% macro look_back(column) -%}
    (
        select {{ dbt.dateadd('hour', -1 * var('landing_look_back_hours'), 'max(' ~ column ~ ')') }}
        from {{ this }}
    )
{%- endmacro %}
