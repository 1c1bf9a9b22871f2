-- Requests to forget a listener, or one play (event_id). The name stands here only until the work
-- is done; `steps` says what was removed from where, and is where a killed run goes on.
create table erasures (
    id           uuid primary key default gen_random_uuid(),
    user_id      text,
    event_id     uuid,
    subject      text not null,
    requested_at timestamptz not null default now(),
    state        text not null default 'pending' check (state in ('pending', 'running', 'done')),
    before_ms    bigint,
    steps        jsonb not null default '{}',
    waiting_for  text not null default '',
    finished_at  timestamptz,
    check (state = 'done' or user_id is not null),
    check (state <> 'done' or user_id is null)
);

create unique index erasures_open on erasures (user_id, coalesce(event_id::text, ''))
where state <> 'done';
create index erasures_waiting on erasures (requested_at) where state <> 'done';
