-- The audit trail: who did what to whose data, when, from where and with what outcome. Rows are only
-- ever added. Each holds the hash of the one before it, so a row that was altered, taken out or put
-- elsewhere breaks the chain at its place (`segue audit verify`).
--
-- Names do not stand here: actors and subjects are pseudonyms, made with a secret of this database.
-- An erased listener's rows stay, and name nobody any more.
create table audit_secret (
    one    boolean primary key default true check (one),
    secret bytea not null
);

insert into audit_secret (secret)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

create function pseudonym(name text) returns text
language sql stable
begin atomic
    select left(encode(sha256(secret || convert_to(name, 'UTF8')), 'hex'), 32) from audit_secret;
end;

create table audit (
    seq       bigint primary key,
    at        timestamptz not null,
    actor     text not null check (actor <> ''),
    action    text not null check (action ~ '^[a-z]+(\.[a-z-]+)+$'),
    subject   text not null,
    origin    text not null,
    outcome   text not null check (outcome in ('done', 'refused', 'failed', 'requested')),
    detail    text not null,
    previous  bytea not null,
    hash      bytea not null
);

create index audit_by_subject on audit (subject, seq);

-- What is hashed: every field with its length before it, so that no text can pass for two fields.
create function audit_hash(
    previous bytea, seq bigint, at timestamptz, actor text, action text, subject text,
    origin text, outcome text, detail text
) returns bytea
language sql immutable
begin atomic
    select sha256(previous || convert_to(string_agg(length(part) || ':' || part, ',' order by place), 'UTF8'))
    from unnest(array[
        seq::text,
        (extract(epoch from at) * 1000000)::bigint::text,
        actor, action, subject, origin, outcome, detail
    ]) with ordinality as parts (part, place);
end;

create function audit_append() returns trigger
language plpgsql as $$
declare
    last record;
begin
    perform pg_advisory_xact_lock(hashtext(tg_table_schema || '.audit'));
    select a.seq, a.hash into last from audit a order by a.seq desc limit 1;
    new.seq := coalesce(last.seq, 0) + 1;
    new.at := clock_timestamp();
    new.previous := coalesce(last.hash, '\x'::bytea);
    new.hash := audit_hash(
        new.previous, new.seq, new.at, new.actor, new.action, new.subject,
        new.origin, new.outcome, new.detail
    );
    return new;
end $$;

create trigger audit_is_chained before insert on audit
for each row execute function audit_append();

create function audit_refuse() returns trigger
language plpgsql as $$
begin
    raise exception 'the audit trail is append-only: % refused', tg_op
        using errcode = 'insufficient_privilege';
end $$;

create trigger audit_is_append_only before update or delete on audit
for each row execute function audit_refuse();
create trigger audit_is_not_truncated before truncate on audit
for each statement execute function audit_refuse();
