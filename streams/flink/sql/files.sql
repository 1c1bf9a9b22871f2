-- Batch: plays as files, as `segue flink backfill` writes them from the lake. Each play lies there
-- once, late or not, so no rule is needed to know which delivery counts.
CREATE TEMPORARY TABLE plays (
  user_id STRING,
  event_id STRING,
  track_id STRING,
  artist_id STRING,
  artist STRING,
  title STRING,
  played_at BIGINT,
  heard BOOLEAN,
  trace BIGINT,
  `at` AS TO_TIMESTAMP_LTZ(played_at, 3),
  WATERMARK FOR `at` AS `at`
) WITH (
  'connector' = 'filesystem',
  'path' = '${folder}',
  'format' = 'json'
)
