-- Every API process listens: a token that is changed, revoked or gone is forgotten there at once,
-- not when its answer has grown old.
create function tokens_changed() returns trigger
language plpgsql as $$
begin
    perform pg_notify('segue_tokens', encode(old.token_hash, 'hex'));
    return null;
end $$;

create trigger tokens_are_watched after update or delete on tokens
for each row execute function tokens_changed();
