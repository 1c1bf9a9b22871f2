{# Puts the masking policy on user_id of the relation just built (Snowflake), so that analysts see a
   pseudonym. Policies belong to a relation and are gone when it is replaced: hence a post-hook. #}
{% macro mask_listeners() -%}
    {{ return(adapter.dispatch('mask_listeners', 'segue')()) }}
{%- endmacro %}

{% macro default__mask_listeners() -%}{%- endmacro %}

{% macro snowflake__mask_listeners() -%}
    {%- if execute -%}
        {%- set names = adapter.get_columns_in_relation(this) | map(attribute='name') | map('lower') -%}
        {%- if 'user_id' in (names | list) -%}
            alter table {{ this }} modify column user_id
            set masking policy {{ target.database }}.governance.listener force
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
