-- Functions that a process may call without a right to the tables behind them. They run with the
-- rights of the tables' owner, and look names up in this schema only. (Bodies of `begin atomic` hold
-- no names that could be looked up differently.)
alter function pseudonym(text) security definer;
alter function ask_erasure(text, uuid) security definer;
alter function remember_import(text, text, bigint) security definer;
alter function audited(text) security definer;
alter function verify_audit() security definer;
alter function set_account_settings(text, text, text) security definer;
alter function ask_import(uuid, text, text, bigint, bytea, boolean) security definer;
alter function create_experiment(text, text, jsonb) security definer;

do $$
declare
    definer regprocedure;
begin
    foreach definer in array array[
        'audit_append()', 'held_tables()', 'held_rows(text, text)',
        'catalogue_spellings(text)', 'catalogue_track_named(text, text, text[])',
        'start_experiment(text)', 'stop_experiment(text)'
    ]::regprocedure[] loop
        execute format(
            'alter function %s security definer set search_path = %I, pg_temp',
            definer, current_schema()
        );
    end loop;
end $$;
