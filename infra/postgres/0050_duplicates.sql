-- One play, once, whoever tells of it (docs/adr/0014-one-play-from-two-clients.md).

-- The same event_id at two milliseconds of one second was two rows; it is one play.
delete from plays a using plays b
where a.user_id = b.user_id and a.event_id = b.event_id and a.played_at > b.played_at;
update listen_counts c set plays = (select count(*) from plays p where p.user_id = c.user_id);
alter table plays drop constraint plays_pkey;
alter table plays add primary key (user_id, event_id);
create index plays_by_time on plays (user_id, played_at);

-- name_key: key of the normalised names (null in rows from before: they are never merged).
-- clients: everybody who told of this very event.
alter table plays add column name_key bigint;
alter table plays add column clients text[] not null default '{}';

-- Which clients tell of a listener; with only one, nothing can be a duplicate.
create table listener_clients (
    user_id text not null,
    client  text not null,
    primary key (user_id, client)
);

-- Every member of a group of duplicates as it was told, the head as well. `plays` holds one row a
-- group: the head, enriched.
create table merged_plays (
    like plays including defaults,
    head_id uuid not null,
    primary key (user_id, event_id)
);
create index merged_plays_by_time on merged_plays (user_id, played_at);

-- What was merged, into what, why and when; head_id is null where a play stands for itself again.
create table merges (
    id       bigint generated always as identity primary key,
    user_id  text not null,
    event_id uuid not null,
    head_id  uuid,
    why      text not null,
    at       timestamptz not null default clock_timestamp()
);
create index merges_by_play on merges (user_id, event_id, id);

-- Plays that were un-merged by hand: never merged again, also when the log is read anew.
create table kept_apart (
    user_id  text not null,
    event_id uuid not null,
    at       timestamptz not null default now(),
    primary key (user_id, event_id)
);
