-- Different listeners of a track in each hour, exactly.
CREATE TEMPORARY TABLE uniques (
  `key` STRING,
  `hour` BIGINT,
  track_id STRING,
  listeners BIGINT,
  plays BIGINT,
  run BIGINT,
  version INT
) WITH (${sink});

INSERT INTO uniques
SELECT CAST(h AS STRING) || '|' || track_id, h, track_id, listeners, plays, ${run}, 1
FROM (
  SELECT UNIX_TIMESTAMP(DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss')) * 1000 AS h,
    track_id, COUNT(DISTINCT user_id) AS listeners, COUNT(*) AS plays
  FROM TABLE(TUMBLE(TABLE plays, DESCRIPTOR(`at`), INTERVAL '1' HOUR))
  GROUP BY window_start, window_end, track_id
)
