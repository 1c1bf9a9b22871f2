{# Whether an erasure has deleted a play of a session; for a query grouped by session.

   Positions in a session have no gap, and a session landed when the newest of its plays did. So it
   shows, except after the deletion of a last play that was not the newest: that one changes nothing. #}
{% macro lost_a_play() -%}
    (count(*) < max(session_position) or max(landed_at) < max(session_landed_at))
{%- endmacro %}
