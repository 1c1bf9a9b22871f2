-- Who may do what. Nobody works as an administrator: each process has a role of its own.
use role USERADMIN;

create role if not exists ${database}_LOADER
    comment = 'Puts files into the landing stage and has Snowpipe load them';

create role if not exists ${database}_TRANSFORMER
    comment = 'Runs dbt: reads RAW, owns everything behind it';

create role if not exists ${database}_ERASER
    comment = 'Deletes what a listener asks to be forgotten, and nothing else';

create role if not exists ${database}_ANALYST
    comment = 'Reads MARTS; sees listeners under a pseudonym';

use role SECURITYADMIN;

grant role ${database}_LOADER to role SYSADMIN;

grant role ${database}_TRANSFORMER to role SYSADMIN;

grant role ${database}_ERASER to role SYSADMIN;

grant role ${database}_ANALYST to role SYSADMIN;
