-- Each stored backtest's closed trades beside the bot's own of its time and pairs. `seen`: both (pair, side and the entry's candle are the same), backtest, or live.
-- Example: SELECT run, seen, count(*) AS trades, sum(live_profit) AS live, sum(backtest_profit) AS test FROM backtest_against_live GROUP BY ALL ORDER BY ALL;
CREATE OR REPLACE VIEW backtest_against_live AS
WITH tests AS (
    SELECT run, data_from, data_to, pairs,
           to_seconds(CAST(timeframe[:-2] AS BIGINT)
                      * CASE timeframe[-1] WHEN 's' THEN 1 WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400
                                           ELSE 604800 END) AS candle
    FROM runs WHERE mode = 'backtest' AND timeframe IS NOT NULL
), live AS (
    SELECT tests.run AS test, t.*
    FROM trades t JOIN tests ON t.open_time >= tests.data_from AND t.open_time < tests.data_to + tests.candle
    WHERE t.close_time IS NOT NULL AND t.run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') AND contains(tests.pairs, '"' || t.pair || '"')
), tested AS (
    SELECT t.run AS test, tests.candle, t.* FROM trades t JOIN tests USING (run)
    WHERE t.close_time IS NOT NULL
)
SELECT coalesce(b.test, l.test) AS run, l.account, coalesce(b.pair, l.pair) AS pair, coalesce(b.side, l.side) AS side,
       CASE WHEN l.trade_id IS NULL THEN 'backtest' WHEN b.trade_id IS NULL THEN 'live' ELSE 'both' END AS seen,
       b.open_time AS backtest_open, l.open_time AS live_open,
       b.open_rate AS backtest_open_rate, l.open_rate AS live_open_rate,
       b.close_rate AS backtest_close_rate, l.close_rate AS live_close_rate,
       b.exit_reason AS backtest_exit, l.exit_reason AS live_exit,
       b.profit_ratio AS backtest_profit_ratio, l.profit_ratio AS live_profit_ratio,
       b.profit_abs AS backtest_profit, l.profit_abs AS live_profit
FROM tested b FULL JOIN live l
  ON b.test = l.test AND b.pair = l.pair AND b.side = l.side
 AND l.open_time >= b.open_time AND l.open_time < b.open_time + b.candle
ORDER BY run, coalesce(b.open_time, l.open_time), pair;
