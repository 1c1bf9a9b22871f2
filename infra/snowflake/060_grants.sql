-- As little as each needs. The loader cannot read what others landed beside counting it; the
-- transformer appends to three tables of RAW, which hold nothing of the log; analysts see MARTS.
use role SECURITYADMIN;

-- loader
grant usage on database ${database} to role ${database}_LOADER;

grant usage on schema ${database}.RAW to role ${database}_LOADER;

grant usage on warehouse ${database}_LOAD to role ${database}_LOADER;

grant read, write on stage ${database}.RAW.LANDING to role ${database}_LOADER;

grant select, insert on table ${database}.RAW.PLAYS to role ${database}_LOADER;

grant select, insert on table ${database}.RAW.FEEDBACK to role ${database}_LOADER;

grant select, insert on table ${database}.RAW.IMPRESSIONS to role ${database}_LOADER;

grant select, insert, delete on table ${database}.RAW.QUARANTINE to role ${database}_LOADER;

grant operate, monitor on pipe ${database}.RAW.PLAYS_PIPE to role ${database}_LOADER;

grant operate, monitor on pipe ${database}.RAW.FEEDBACK_PIPE to role ${database}_LOADER;

grant operate, monitor on pipe ${database}.RAW.IMPRESSIONS_PIPE to role ${database}_LOADER;

-- transformer
grant usage on database ${database} to role ${database}_TRANSFORMER;

grant usage on all schemas in database ${database} to role ${database}_TRANSFORMER;

grant usage on warehouse ${database}_TRANSFORM to role ${database}_TRANSFORMER;

grant select on all tables in schema ${database}.RAW to role ${database}_TRANSFORMER;

grant select on future tables in schema ${database}.RAW to role ${database}_TRANSFORMER;

grant read, write on stage ${database}.RAW.BATCH to role ${database}_TRANSFORMER;

grant insert on table ${database}.RAW.PLAY_MERGES to role ${database}_TRANSFORMER;

grant insert on table ${database}.RAW.EXPERIMENT_ARMS to role ${database}_TRANSFORMER;

grant insert on table ${database}.RAW.CATALOGUE_ARTISTS to role ${database}_TRANSFORMER;

grant insert on table ${database}.RAW.CATALOGUE_TRACKS to role ${database}_TRANSFORMER;

grant create table, create view on schema ${database}.STAGING to role ${database}_TRANSFORMER;

grant create table, create view on schema ${database}.INTERMEDIATE to role ${database}_TRANSFORMER;

grant create table, create view on schema ${database}.SNAPSHOTS to role ${database}_TRANSFORMER;

grant create table, create view on schema ${database}.MARTS to role ${database}_TRANSFORMER;

grant create table, create view on schema ${database}.DBT_TEST__AUDIT
    to role ${database}_TRANSFORMER;

grant usage on schema ${database}.GOVERNANCE to role ${database}_TRANSFORMER;

grant usage on function ${database}.GOVERNANCE.FOLD_NAME_${fold_version}(varchar)
    to role ${database}_TRANSFORMER;

grant apply on masking policy ${database}.GOVERNANCE.LISTENER to role ${database}_TRANSFORMER;

-- eraser: finds and deletes rows, in the tables of tomorrow too; rewrites staged and set-aside files
grant usage on database ${database} to role ${database}_ERASER;

grant usage on warehouse ${database}_TRANSFORM to role ${database}_ERASER;

grant read, write on stage ${database}.RAW.LANDING to role ${database}_ERASER;

grant insert on table ${database}.RAW.QUARANTINE to role ${database}_ERASER;

grant usage on schema ${database}.RAW to role ${database}_ERASER;

grant select, delete on all tables in schema ${database}.RAW to role ${database}_ERASER;

grant select, delete on future tables in schema ${database}.RAW to role ${database}_ERASER;

grant usage on schema ${database}.STAGING to role ${database}_ERASER;

grant select, delete on all tables in schema ${database}.STAGING to role ${database}_ERASER;

grant select, delete on future tables in schema ${database}.STAGING to role ${database}_ERASER;

grant usage on schema ${database}.INTERMEDIATE to role ${database}_ERASER;

grant select, delete on all tables in schema ${database}.INTERMEDIATE to role ${database}_ERASER;

grant select, delete on future tables in schema ${database}.INTERMEDIATE to role ${database}_ERASER;

grant usage on schema ${database}.SNAPSHOTS to role ${database}_ERASER;

grant select, delete on all tables in schema ${database}.SNAPSHOTS to role ${database}_ERASER;

grant select, delete on future tables in schema ${database}.SNAPSHOTS to role ${database}_ERASER;

grant usage on schema ${database}.MARTS to role ${database}_ERASER;

grant select, delete on all tables in schema ${database}.MARTS to role ${database}_ERASER;

grant select, delete on future tables in schema ${database}.MARTS to role ${database}_ERASER;

grant usage on schema ${database}.DBT_TEST__AUDIT to role ${database}_ERASER;

grant select, delete on all tables in schema ${database}.DBT_TEST__AUDIT to role ${database}_ERASER;

grant select, delete on future tables in schema ${database}.DBT_TEST__AUDIT to role ${database}_ERASER;

-- analyst
grant usage on database ${database} to role ${database}_ANALYST;

grant usage on schema ${database}.MARTS to role ${database}_ANALYST;

grant usage on warehouse ${database}_ANALYSE to role ${database}_ANALYST;

grant select on all tables in schema ${database}.MARTS to role ${database}_ANALYST;

grant select on future tables in schema ${database}.MARTS to role ${database}_ANALYST;

grant select on all views in schema ${database}.MARTS to role ${database}_ANALYST;

grant select on future views in schema ${database}.MARTS to role ${database}_ANALYST;
