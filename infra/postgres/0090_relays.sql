-- Relays: a listener's plays are sent on to the listener's account at another service.

-- secret proves who the listener is there. Only the worker `relay` reads this table; no view and no
-- export shows the secret.
create table relays (
    user_id text not null,
    service text not null check (service in ('listenbrainz', 'lastfm')),
    secret text not null,
    state text not null default 'active' check (state in ('active', 'paused', 'refused')),
    reason text not null default '',
    account text not null default '',
    created_at timestamptz not null default now(),
    failures integer not null default 0,
    retry_at timestamptz,
    sent bigint not null default 0,
    last_sent_at timestamptz,
    primary key (user_id, service)
);

-- The queue of each relay, and what was sent lately. `play` is the play as it lies in the log, empty
-- once it was sent.
create table relayed_plays (
    user_id text not null,
    service text not null,
    event_id uuid not null,
    played_at timestamptz not null,
    queued_at timestamptz not null default now(),
    state text not null default 'waiting' check (state in ('waiting', 'sent', 'merged', 'refused')),
    reason text not null default '',
    play text not null,
    primary key (user_id, service, event_id),
    foreign key (user_id, service) references relays on delete cascade
);
create index relayed_plays_waiting on relayed_plays (user_id, service, played_at)
    where state = 'waiting';

create table relay_fence (
    log_id text not null,
    partition integer not null,
    applied_offset bigint not null,
    number bigint generated always as identity,
    primary key (log_id, partition)
);

create view relays_v1 as
select r.user_id, r.service, r.state, r.reason, r.account, r.created_at, r.retry_at, r.sent,
    r.last_sent_at,
    (select count(*) from relayed_plays p
        where p.user_id = r.user_id and p.service = r.service and p.state = 'waiting') as waiting,
    (select count(*) from relayed_plays p
        where p.user_id = r.user_id and p.service = r.service and p.state = 'refused') as refused
from relays r;

-- Makes a relay, or gives an existing one another secret; either way it is active afterwards.
create function set_relay(of_user text, to_service text, new_secret text) returns void
language sql volatile security definer
begin atomic
    insert into relays (user_id, service, secret) values (of_user, to_service, new_secret)
    on conflict (user_id, service) do update
        set secret = excluded.secret, state = 'active', reason = '', account = '', failures = 0,
            retry_at = null;
end;

-- Pauses a relay or lets it go on; returns how many relays that are (0 or 1).
create function set_relay_state(of_user text, to_service text, new_state text) returns bigint
language sql volatile security definer
begin atomic
    with changed as (
        update relays set state = new_state, reason = '', failures = 0, retry_at = null
        where user_id = of_user and service = to_service returning 1
    )
    select count(*) from changed;
end;

-- Removes a relay with its queue; returns how many relays that are (0 or 1).
create function remove_relay(of_user text, to_service text) returns bigint
language sql volatile security definer
begin atomic
    with gone as (
        delete from relays where user_id = of_user and service = to_service returning 1
    )
    select count(*) from gone;
end;

-- As before, without the secrets of relays.
create or replace function held_rows(held_table text, of_user text) returns setof jsonb
language plpgsql stable as $$
declare
    secrets constant text[] :=
        array['token_hash', 'scrobbler_md5', 'made_by', 'password_hash', 'secret'];
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

-- Replacing a function takes its attributes away.
do $$ begin
    execute format(
        'alter function held_rows(text, text) security definer set search_path = %I, pg_temp',
        current_schema()
    );
end $$;
