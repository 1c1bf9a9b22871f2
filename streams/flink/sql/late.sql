-- Deliveries that came later than the bound, by the day they were played. They are in no window;
-- a batch run counts them (segue flink backfill).
CREATE TEMPORARY TABLE late (
  `key` STRING,
  `day` STRING,
  `hour` BIGINT,
  plays BIGINT,
  run BIGINT,
  version INT
) WITH (${sink});

INSERT INTO late
SELECT CAST(h AS STRING) || '|' || d, d, h, plays, ${run}, 1
FROM (
  SELECT UNIX_TIMESTAMP(DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss')) * 1000 AS h,
    `day` AS d, COUNT(*) AS plays
  FROM TABLE(TUMBLE(TABLE late_plays, DESCRIPTOR(`at`), INTERVAL '1' HOUR))
  GROUP BY window_start, window_end, `day`
)
