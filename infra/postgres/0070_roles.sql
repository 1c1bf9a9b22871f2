-- Roles of tokens: one more than before, `scrobbler` (contracts/accounts.py lists those in use).
alter table tokens drop constraint tokens_roles_check;
alter table tokens add constraint tokens_roles_check check (
    roles <@ array['listener', 'client', 'analyst', 'admin', 'scrobbler']
    and cardinality(roles) > 0
);

-- Puts a request to erase a listener, or one play of theirs, on record and returns its id. While a
-- request is open, asking again returns the same id.
create function ask_erasure(asked_user text, asked_event uuid) returns uuid
language sql volatile
begin atomic
    insert into erasures (user_id, event_id, subject)
    values (asked_user, asked_event, pseudonym(asked_user))
    on conflict (user_id, coalesce(event_id::text, '')) where state <> 'done'
        do update set user_id = excluded.user_id
    returning id;
end;
