-- What each pair has earned: trades, wins, sum, mean, best and worst.
-- Example: SELECT * FROM profit_by_pair WHERE trades >= 10 ORDER BY profit_abs;
CREATE OR REPLACE VIEW profit_by_pair AS
SELECT account, pair, count(*) AS trades, count(*) FILTER (WHERE profit_abs > 0) AS wins,
       sum(profit_abs) AS profit_abs, avg(profit_ratio) AS profit_mean,
       max(profit_ratio) AS best, min(profit_ratio) AS worst
FROM trades WHERE close_time IS NOT NULL
  AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') GROUP BY account, pair ORDER BY profit_abs DESC;
