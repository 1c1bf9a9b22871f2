-- Top ${kind} of ${window}: a list for each window. A listener counts for at most three plays of one
-- thing, so that nobody can lift it alone. The order is total: ties do not change from run to run.
CREATE TEMPORARY TABLE trending_${kind}_${window} (
  `key` STRING,
  kind STRING,
  `window` STRING,
  window_start BIGINT,
  window_end BIGINT,
  places ARRAY<ROW<place BIGINT, id STRING, artist STRING, title STRING,
                   listeners BIGINT, plays BIGINT, weight BIGINT>>,
  run BIGINT,
  version INT
) WITH (${sink});

INSERT INTO trending_${kind}_${window}
SELECT
  '${kind}:${window}', '${kind}', '${window}',
  UNIX_TIMESTAMP(DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss')) * 1000,
  UNIX_TIMESTAMP(DATE_FORMAT(window_end, 'yyyy-MM-dd HH:mm:ss')) * 1000,
  ARRAY_AGG(ROW(place, id, artist, title, listeners, plays, weight)),
  ${run}, 1
FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY window_start, window_end ORDER BY weight DESC, listeners DESC, id ASC) AS place
  FROM (
    SELECT window_start, window_end, id, MIN(artist) AS artist, MIN(title) AS title,
      COUNT(*) AS listeners, SUM(plays) AS plays, SUM(LEAST(plays, 3)) AS weight
    FROM (
      SELECT window_start, window_end, ${id} AS id, user_id,
        MIN(artist) AS artist, MIN(${title}) AS title, COUNT(*) AS plays
      FROM TABLE(HOP(TABLE plays, DESCRIPTOR(`at`), ${slide}, ${size}))
      GROUP BY window_start, window_end, ${id}, user_id
    )
    GROUP BY window_start, window_end, id
  )
)
WHERE place <= ${places}
GROUP BY window_start, window_end
