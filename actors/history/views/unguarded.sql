-- Of each trade that had stops at the exchange: how long it stood there without one, in all, longest, and longest at a replacement.
-- Example: SELECT trade_id, without_ms, longest_replaced_ms FROM unguarded ORDER BY without_ms DESC LIMIT 20;
CREATE OR REPLACE VIEW unguarded AS
SELECT t.account, t.pair, t.trade_id, count(g.why) AS gaps, coalesce(sum(g.ms), 0) AS without_ms, coalesce(max(g.ms), 0) AS longest_ms,
       coalesce(max(g.ms) FILTER (g.why = 'replaced'), 0) AS longest_replaced_ms,
       coalesce(max(g.ms) FILTER (g.why = 'first'), 0) AS first_ms, t.run
FROM trades t LEFT JOIN (
    SELECT trade_id, why, coalesce(gap_ms, epoch_ms(current_timestamp) - epoch_ms(since)) AS ms FROM stop_gaps
) g ON g.trade_id = t.trade_id
WHERE t.trade_id IN (SELECT trade_id FROM orders WHERE purpose = 'stop')
  AND t.run NOT IN (SELECT run FROM runs WHERE mode = 'backtest')
GROUP BY t.account, t.pair, t.trade_id, t.run, t.open_time ORDER BY t.open_time;
