{# Whether an erasure has deleted a play of a session; for a query grouped by session.

   Positions in a session have no gap, and `session_landed_at` is the newest `landed_at` of its plays.
   The deletion of a play breaks one of the two, unless it was the last play and another one landed
   later. Then nothing in the other rows depended on it. #}
{% macro lost_a_play() -%}
    (count(*) < max(session_position) or max(landed_at) < max(session_landed_at))
{%- endmacro %}
