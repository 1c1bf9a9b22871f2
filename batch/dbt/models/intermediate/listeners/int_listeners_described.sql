{#-
    What is known of each listener today: totals, and the traits whose changes the snapshot keeps.
    Ties are broken by name, so that a rebuild gives the same traits.
-#}

with totals as (

    select
        user_id,
        count(*) as plays,
        count(distinct cast(played_at as date)) as active_days,
        min(played_at) as first_played_at,
        max(played_at) as last_played_at,
        max(landed_at) as described_at
    from {{ ref('stg_segue__plays') }}
    group by user_id

),

clients as (

    select user_id, source
    from (
        select user_id, source, count(*) as plays
        from {{ ref('stg_segue__plays') }}
        group by user_id, source
    ) as counted
    qualify row_number() over (partition by user_id order by plays desc, source asc) = 1

),

favourites as (

    -- Spellings are counted first, so that one is folded once and not at every play.
    select user_id, artist_key
    from (
        select
            spelled.user_id,
            {{ artist_key('spelled.artist', 'namesakes.artist_mbid') }} as artist_key,
            sum(spelled.plays) as plays
        from (
            select user_id, artist, artist_mbid, count(*) as plays
            from {{ ref('stg_segue__plays') }}
            group by user_id, artist, artist_mbid
        ) as spelled
        {{ join_namesakes('spelled') }}
        group by
            spelled.user_id, {{ artist_key('spelled.artist', 'namesakes.artist_mbid') }}
    ) as counted
    qualify row_number() over (partition by user_id order by plays desc, artist_key asc) = 1

)

select
    totals.user_id,
    clients.source as main_source,
    favourites.artist_key as favourite_artist_key,
    totals.plays,
    totals.active_days,
    totals.first_played_at,
    totals.last_played_at,
    totals.described_at
from totals
inner join clients on totals.user_id = clients.user_id
inner join favourites on totals.user_id = favourites.user_id
