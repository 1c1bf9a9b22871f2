-- Where in the log a row comes from, so that an erasure can compare offsets and not clocks
-- (docs/adr/0015-erasure-in-a-log-that-is-the-truth.md).

-- Each partition of each log has a number, in the order in which they were first read.
alter table history_fence add column number bigint generated always as identity;
alter table feedback_fence add column number bigint generated always as identity;

-- place: number of the fence * 2^40 + offset of the message (streams.postgres_sink.place). A later
-- message of a listener always has a greater place. Rows written before this column have none.
alter table plays add column place bigint;
alter table merged_plays add column place bigint;
alter table feedback add column place bigint;

-- Log id -> end offset of each partition when the erasure was begun.
alter table erasures add column ends jsonb;
