-- When a position was held and no stop of it rested at the exchange, of trades that had one there: before the first, between two, after the last.
-- Example: SELECT why, count(*), max(gap_ms) FROM stop_gaps GROUP BY why;
CREATE OR REPLACE VIEW stop_gaps AS
WITH held AS (
    SELECT t.trade_id, t.account, t.pair, t.run, min(f.ts) AS since, t.close_time AS until
    FROM trades t JOIN fills f ON f.trade_id = t.trade_id
    WHERE t.run NOT IN (SELECT run FROM runs WHERE mode = 'backtest')
      AND t.trade_id IN (SELECT trade_id FROM orders WHERE purpose = 'stop')
    GROUP BY t.trade_id, t.account, t.pair, t.run, t.close_time
), rested AS (
    -- One that came in the request that ended another stood from that moment on, whichever of the two was heard first.
    SELECT o.trade_id, greatest(least(o.accepted_at, coalesce(old.ended_at, o.accepted_at)), h.since) AS since,
           coalesce(o.ended_at, TIMESTAMP 'infinity') AS until
    FROM orders o JOIN held h ON h.trade_id = o.trade_id LEFT JOIN orders old ON old.client_order_id = o.replaces
    WHERE o.purpose = 'stop' AND o.accepted_at IS NOT NULL
), lined AS (
    SELECT trade_id, since, max(until) OVER (
        PARTITION BY trade_id ORDER BY since, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM rested
), gaps AS (
    SELECT l.trade_id, coalesce(l.before, h.since) AS since, l.since AS until,
           CASE WHEN l.before IS NULL THEN 'first' ELSE 'replaced' END AS why
    FROM lined l JOIN held h ON h.trade_id = l.trade_id WHERE l.since > coalesce(l.before, h.since)
    UNION ALL
    SELECT h.trade_id, coalesce(max(r.until), h.since), h.until, CASE WHEN count(r.until) = 0 THEN 'none' ELSE 'last' END
    FROM held h LEFT JOIN rested r ON r.trade_id = h.trade_id GROUP BY h.trade_id, h.since, h.until
    HAVING coalesce(max(r.until), h.since) < coalesce(h.until, TIMESTAMP 'infinity')
)
SELECT h.account, h.pair, g.trade_id, g.since, g.until, CAST(epoch_ms(g.until) - epoch_ms(g.since) AS BIGINT) AS gap_ms, g.why, h.run
FROM gaps g JOIN held h ON h.trade_id = g.trade_id ORDER BY g.since;
