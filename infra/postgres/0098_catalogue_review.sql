-- Pairs of artists that may be one, as the operator's pages show and decide them.
create view catalogue_candidates_v1 as
select c.left_id, c.right_id, l.name as left_name, r.name as right_name, c.score, c.evidence,
    c.decision, c.decided_by, c.decided_at
from catalogue_candidates c
join catalogue_artists l on l.artist_id = c.left_id
join catalogue_artists r on r.artist_id = c.right_id;

-- Records a person's decision on a pair, under a pseudonym: who it was is in the audit trail. The
-- next collection or nightly run applies it to pages, vectors and lake (batch/catalogue/resettle.py).
create function decide_candidate(one uuid, other uuid, decided text, person text) returns boolean
language plpgsql volatile as $$
begin
    update catalogue_candidates
    set decision = decided, decided_by = pseudonym(person), decided_at = now()
    where left_id = least(one, other) and right_id = greatest(one, other);
    if not found then
        return false;
    end if;
    update catalogue_state set staged = staged + 1;
    return true;
end $$;

do $$
begin
    execute format(
        'alter function decide_candidate(uuid, uuid, text, text) '
        'security definer set search_path = %I, pg_temp', current_schema()
    );
end $$;
