{# After a run of an incremental model: what is counted as part of another play has no row. #}
{% macro forget_merged() -%}
    delete from {{ this }}
    where event_id in (
        select event_id from {{ ref('base_segue__merges') }}
        where is_current and head_id is not null
    )
{%- endmacro %}
