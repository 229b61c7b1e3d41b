-- What each way to leave a trade has earned.
-- Example: SELECT exit_reason, trades, profit_abs FROM profit_by_reason;
CREATE OR REPLACE VIEW profit_by_reason AS
SELECT account, exit_reason, count(*) AS trades, count(*) FILTER (WHERE profit_abs > 0) AS wins,
       sum(profit_abs) AS profit_abs, avg(profit_ratio) AS profit_mean
FROM trades WHERE close_time IS NOT NULL
  AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') GROUP BY account, exit_reason ORDER BY trades DESC;
