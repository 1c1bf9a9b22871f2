-- A warehouse each, so that none slows another down and the cost of each is visible. All sleep after
-- a minute; a monitor stops them before a mistake becomes expensive.
use role SYSADMIN;

create warehouse if not exists ${database}_LOAD
    warehouse_size = 'XSMALL'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    statement_timeout_in_seconds = 300
    comment = 'Questions of the landing sink about RAW';

create warehouse if not exists ${database}_TRANSFORM
    warehouse_size = 'XSMALL'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    statement_timeout_in_seconds = 3600
    comment = 'dbt';

create warehouse if not exists ${database}_ANALYSE
    warehouse_size = 'XSMALL'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    statement_timeout_in_seconds = 900
    comment = 'People';

use role ACCOUNTADMIN;

create resource monitor if not exists ${database}_MONTHLY with
    credit_quota = ${credit_quota}
    frequency = monthly
    start_timestamp = immediately
    triggers
        on 80 percent do notify
        on 100 percent do suspend
        on 110 percent do suspend_immediate;

alter warehouse ${database}_LOAD set resource_monitor = ${database}_MONTHLY;

alter warehouse ${database}_TRANSFORM set resource_monitor = ${database}_MONTHLY;

alter warehouse ${database}_ANALYSE set resource_monitor = ${database}_MONTHLY;
