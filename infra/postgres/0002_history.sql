-- The staged record of every play, exact and de-duplicated: what `listens` and `listen-count`
-- answer from, and what exports and erasure work on. A fold of the play log like everything else:
-- history_fence says up to which offset of which log it stands.
create table plays (
    user_id     text not null,
    played_at   timestamptz not null,
    event_id    uuid not null,
    track_id    text not null,
    artist      text not null,
    title       text not null,
    album       text,
    ms_played   bigint,
    duration_ms bigint,
    skipped     boolean,
    source      text not null,
    received_at timestamptz not null,
    extra       jsonb,
    primary key (user_id, played_at, event_id)
);

create table history_fence (
    log_id         text not null,
    partition      integer not null,
    applied_offset bigint not null,
    primary key (log_id, partition)
);

-- Exact play counts, kept in the same transaction as the rows they count.
create table listen_counts (
    user_id text primary key,
    plays   bigint not null
);
