-- Experiments: what changes for which listeners, from when to when. A definition never changes after
-- it was created: a running experiment can only be ended, and another one made from it.
create table experiments (
    key text primary key check (key ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    layer text not null check (layer ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    definition jsonb not null,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at timestamptz,
    check (ended_at is null or started_at is not null)
);

-- A layer runs one experiment at a time.
create unique index experiments_one_runs_in_a_layer on experiments (layer)
where started_at is not null and ended_at is null;

create view experiments_v1 as
select key, layer, definition, created_at, started_at, ended_at from experiments;

create function create_experiment(new_key text, new_layer text, new_definition jsonb)
returns table (key text)
language sql volatile
begin atomic
    insert into experiments (key, layer, definition)
    values (new_key, new_layer, new_definition)
    on conflict do nothing
    returning experiments.key;
end;

-- The row lock and the unique index make two starts at the same time safe.
create function start_experiment(of_key text)
returns table (outcome text, other text)
language plpgsql volatile as $$
declare
    found_row experiments;
begin
    select * into found_row from experiments e where e.key = of_key for update;
    if not found then
        return query select 'unknown', null::text;
    elsif found_row.started_at is not null then
        return query select 'not-a-draft', null::text;
    else
        begin
            update experiments e set started_at = now() where e.key = of_key;
            return query select 'started', null::text;
        exception when unique_violation then
            return query select 'layer-taken', e.key from experiments e
            where e.layer = found_row.layer and e.started_at is not null and e.ended_at is null;
        end;
    end if;
end $$;

create function stop_experiment(of_key text) returns text
language plpgsql volatile as $$
begin
    update experiments e set ended_at = now()
    where e.key = of_key and e.started_at is not null and e.ended_at is null;
    if found then
        return 'ended';
    end if;
    perform from experiments e where e.key = of_key;
    return case when found then 'not-running' else 'unknown' end;
end $$;
