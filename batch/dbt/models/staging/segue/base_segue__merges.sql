{#-
    The journal of merges. It is landed from PostgreSQL before a build; where it never was, nothing
    is merged.
-#}
{%- set journal = source('raw', 'play_merges') %}

{% if execute and load_relation(journal) is not none -%}
select
    event_id,
    head_id,
    {{ utc('changed_at') }} as changed_at,
    row_number() over (partition by event_id order by id desc) = 1 as is_current
from {{ journal }}
{%- else -%}
select
    cast(null as varchar) as event_id,
    cast(null as varchar) as head_id,
    cast(null as timestamp) as changed_at,
    true as is_current
where false
{%- endif %}
