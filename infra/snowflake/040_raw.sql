-- RAW is append-only: one row a delivery, with its place in the log and its file. The columns are
-- those of contracts/lake.py plus load metadata (raw_tables.py). Times are instants.
use role SYSADMIN;

create stage if not exists ${database}.RAW.LANDING
    comment = 'Files named by topic, log, partition and range of offsets';

create stage if not exists ${database}.RAW.BATCH
    comment = 'Files of the nightly, for as long as it takes to copy them';

create table if not exists ${database}.RAW.QUARANTINE (
    source_file varchar not null,
    target varchar not null,
    rows_in_file number(19, 0) not null,
    reason varchar not null,
    attempts number(10, 0) not null,
    quarantined_at timestamp_ltz(3) not null
)
    comment = 'Files that could not be loaded, and why; they stay in the stage';

${raw_tables}
