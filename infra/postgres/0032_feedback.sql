-- What listeners say of tracks, as it stands now: a fold of the topic `feedback`, in the order of
-- the log. `undo` takes the row out. feedback_fence says up to which offset it stands.
create table feedback (
    user_id   text not null,
    track_key text not null,
    kind      text not null check (kind in ('love', 'hate', 'hide')),
    given_at  timestamptz not null,
    track_id  text not null,
    artist    text not null,
    title     text not null,
    source    text not null,
    primary key (user_id, track_key)
);

create index feedback_latest on feedback (user_id, given_at desc);
create index feedback_by_track on feedback (track_id);

create table feedback_fence (
    log_id         text not null,
    partition      integer not null,
    applied_offset bigint not null,
    primary key (log_id, partition)
);
