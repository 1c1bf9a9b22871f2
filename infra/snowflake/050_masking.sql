-- Analysts see a pseudonym: the same for a listener everywhere, so that counting and joining work.
-- dbt puts the policy on what it builds (macro mask_listeners); here it is put on RAW.
use role SYSADMIN;

create masking policy if not exists ${database}.GOVERNANCE.LISTENER as (listener varchar)
    returns varchar ->
    case
        when is_role_in_session('${database}_TRANSFORMER') then listener
        when is_role_in_session('${database}_LOADER') then listener
        when is_role_in_session('${database}_ERASER') then listener
        else sha2('${masking_pepper}' || listener, 256)
    end
    comment = 'Listener ids, for those who need not know them';

-- A policy in use cannot be replaced, its body can: apply brings an older one up to date.
alter masking policy ${database}.GOVERNANCE.LISTENER set body ->
    case
        when is_role_in_session('${database}_TRANSFORMER') then listener
        when is_role_in_session('${database}_LOADER') then listener
        when is_role_in_session('${database}_ERASER') then listener
        else sha2('${masking_pepper}' || listener, 256)
    end;

alter table ${database}.RAW.PLAYS
    modify column user_id set masking policy ${database}.GOVERNANCE.LISTENER force;

alter table ${database}.RAW.FEEDBACK
    modify column user_id set masking policy ${database}.GOVERNANCE.LISTENER force;

alter table ${database}.RAW.IMPRESSIONS
    modify column user_id set masking policy ${database}.GOVERNANCE.LISTENER force;
