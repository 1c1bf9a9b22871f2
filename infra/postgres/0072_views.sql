-- What the API reads. A view keeps its columns for as long as its name: a change that readers would
-- notice is a new view (`..._v2`), and the old one goes when nobody names it any more. The tables
-- behind the views belong to those who write them. Columns: contracts/history.py, accounts.py,
-- erasure_requests.py, catalogue.py.

create view accounts_v1 as
select user_id, password_hash, created_at from accounts;

create view tokens_v1 as
select token_hash, user_id, roles, label, created_at, expires_at, revoked_at, scrobbler_md5, made_by
from tokens;

-- Every play once, reports of several clients merged.
create view listens_v1 as
select user_id, played_at, event_id, track_id, artist, title, album, ms_played, duration_ms, skipped,
    source, received_at, extra, clients
from plays;

-- The reports that were merged: each with the event it counts as.
create view merged_listens_v1 as
select user_id, event_id, head_id from merged_plays;

create view listen_counts_v1 as
select user_id, plays as listens from listen_counts;

create view listener_feedback_v1 as
select user_id, track_key, kind, given_at, track_id, artist, title, source from feedback;

create view latest_imports_v1 as
select user_id, service, latest from latest_imports;

create view erasures_v1 as
select id, state, steps, waiting_for, requested_at, finished_at from erasures;

create view catalogue_artist_cards_v1 as
select artist_id, name, search_text, names, words, popularity from catalogue_artist_cards;

create view catalogue_track_cards_v1 as
select track_id, artist_id, artist, title, album, search_text, words, year, duration_ms,
    recording_mbid, isrc, spotify_id, danceability, energy, acousticness, instrumentalness, valence,
    popularity
from catalogue_track_cards;

create view catalogue_artist_tags_v1 as
select artist_id, tag, weight from catalogue_artist_tags;

create view catalogue_track_tags_v1 as
select track_id, tag, weight from catalogue_track_tags;

-- Every artist, and the one it was merged into (itself, if it was not).
create view catalogue_artist_roots_v1 as
select artist_id, coalesce(merged_into, artist_id) as root_id from catalogue_artists;

-- Artists by their public ids, merges followed.
create view catalogue_artist_ids_v1 as
select coalesce(a.merged_into, a.artist_id) as artist_id, s.mbid, s.spotify_id
from staged_artists s
join catalogue_links l on l.kind = 'artist' and (l.source, l.source_key) = (s.source, s.source_key)
join catalogue_artists a on a.artist_id = l.entity_id;

create view catalogue_artist_identities_v1 as
select coalesce(a.merged_into, a.artist_id) as artist_id, i.scheme, i.value, i.source
from catalogue_identities i
join catalogue_artists a on a.artist_id = i.entity_id
where i.kind = 'artist';

create view catalogue_track_identities_v1 as
select entity_id as track_id, scheme, value, source from catalogue_identities where kind = 'track';

create view catalogue_facts_v1 as
select kind, entity_id, field, value, source, confidence, observed_at from catalogue_best_facts;

-- Artists alike by content.
create view catalogue_neighbours_v1 as
select artist_id, other_id, score from catalogue_neighbours;

-- Artists alike by content and by what sources say, merges followed.
create view catalogue_similar_artists_v1 as
select artist_id, other_id, score, 'content' as source from catalogue_neighbours
union all
select coalesce(a.merged_into, a.artist_id), coalesce(b.merged_into, b.artist_id), s.score, s.source
from catalogue_artists a
join catalogue_links l on l.kind = 'artist' and l.entity_id = a.artist_id
join staged_similar s on (s.source, s.source_key) = (l.source, l.source_key)
join catalogue_links k on k.kind = 'artist' and (k.source, k.source_key) = (s.source, s.other_key)
join catalogue_artists b on b.artist_id = k.entity_id;

-- Remembers where an importer stopped; it never moves back.
create function remember_import(importing_user text, from_service text, newest bigint) returns void
language sql volatile
begin atomic
    insert into latest_imports as known (user_id, service, latest)
    values (importing_user, from_service, newest)
    on conflict (user_id, service) do update set latest = greatest(known.latest, excluded.latest);
end;

-- What is held of a listener, for an export: every table that names listeners, those of later
-- migrations included. What proves who somebody is never leaves.
create function held_tables() returns setof text
language sql stable as $$
    select c.table_name::text
    from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = current_schema() and c.column_name = 'user_id'
        and t.table_type = 'BASE TABLE'
    order by 1
$$;

create function held_rows(held_table text, of_user text) returns setof jsonb
language plpgsql stable as $$
declare
    secrets constant text[] := array['token_hash', 'scrobbler_md5', 'made_by', 'password_hash'];
begin
    if held_table not in (select held_tables()) then
        raise exception 'no table of listeners: %', held_table using errcode = 'undefined_table';
    end if;
    -- Of a token the id that listings show.
    return query execute format(
        $query$
            select to_jsonb(held) - $2 || case when to_jsonb(held) ? 'token_hash'
                then jsonb_build_object('id', substr(to_jsonb(held) ->> 'token_hash', 3, 12))
                else '{}' end
            from %I as held where user_id = $1
        $query$, held_table) using of_user, secrets;
end $$;

-- What the audit trail says by and about a listener, without the chain.
create function audited(of_user text) returns setof jsonb
language sql stable
begin atomic
    select to_jsonb(a) - 'previous' - 'hash' from audit a
    where subject = pseudonym(of_user) or actor = pseudonym(of_user)
    order by seq;
end;
