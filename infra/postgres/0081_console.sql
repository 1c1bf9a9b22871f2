-- What the operator's console reads of the audit trail.
create view audit_v1 as
select seq, at, actor, action, subject, origin, outcome, detail from audit;

-- Recomputes the chain: how many rows there are, the last one's number and hash, and the first row
-- that is missing, altered or in another's place (null: none is).
create function verify_audit()
returns table (row_count bigint, head text, first_wrong bigint)
language sql stable
begin atomic
    with chained as (
        select seq, hash, previous,
            hash = audit_hash(previous, seq, at, actor, action, subject, origin, outcome, detail)
                as sound,
            coalesce(lag(hash) over (order by seq), '\x'::bytea) as before,
            coalesce(lag(seq) over (order by seq), 0) as last
        from audit
    )
    select count(*),
        (select c.seq || ':' || encode(c.hash, 'hex') from chained c order by c.seq desc limit 1),
        min(seq) filter (where not sound or previous <> before or seq <> last + 1)
    from chained;
end;
