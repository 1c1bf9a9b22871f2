-- Machines: no password, a key each, from known addresses only. ALTER USER is how keys are changed.
use role USERADMIN;

create user if not exists ${database}_LOADER
    type = service
    default_role = ${database}_LOADER
    default_warehouse = ${database}_LOAD
    timezone = 'UTC'
    comment = 'Landing sink';

alter user ${database}_LOADER set rsa_public_key = '${loader_public_key}';

create user if not exists ${database}_TRANSFORMER
    type = service
    default_role = ${database}_TRANSFORMER
    default_warehouse = ${database}_TRANSFORM
    timezone = 'UTC'
    comment = 'dbt';

alter user ${database}_TRANSFORMER set rsa_public_key = '${transformer_public_key}';

create user if not exists ${database}_ERASER
    type = service
    default_role = ${database}_ERASER
    default_warehouse = ${database}_TRANSFORM
    timezone = 'UTC'
    comment = 'Erasure';

alter user ${database}_ERASER set rsa_public_key = '${eraser_public_key}';

use role SECURITYADMIN;

grant role ${database}_LOADER to user ${database}_LOADER;

grant role ${database}_TRANSFORMER to user ${database}_TRANSFORMER;

grant role ${database}_ERASER to user ${database}_ERASER;

create network policy if not exists ${database}_MACHINES
    allowed_ip_list = (${machine_addresses})
    comment = 'Where the sink, dbt and the eraser run';

alter user ${database}_LOADER set network_policy = ${database}_MACHINES;

alter user ${database}_TRANSFORMER set network_policy = ${database}_MACHINES;

alter user ${database}_ERASER set network_policy = ${database}_MACHINES;
