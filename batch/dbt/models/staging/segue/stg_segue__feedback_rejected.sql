{#- Feedback that breaks a rule, with every rule it breaks. -#}
{{ config(materialized='table') }}

select
    feedback_id as delivery_id,
    reject_reasons,
    user_id,
    kind,
    given_at,
    artist,
    title,
    source,
    landed_at
from {{ ref('base_segue__feedback') }}
where reject_reasons <> ''
