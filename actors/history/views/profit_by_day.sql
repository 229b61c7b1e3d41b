-- What each UTC day has earned, and the sum up to it.
-- Example: SELECT * FROM profit_by_day ORDER BY day DESC LIMIT 7;
CREATE OR REPLACE VIEW profit_by_day AS
SELECT account, day, trades, wins, profit_abs, sum(profit_abs) OVER (PARTITION BY account ORDER BY day) AS profit_so_far
FROM (
    SELECT account, CAST(close_time AS DATE) AS day, count(*) AS trades, count(*) FILTER (WHERE profit_abs > 0) AS wins,
           sum(profit_abs) AS profit_abs
    FROM trades WHERE close_time IS NOT NULL AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') GROUP BY account, day
) ORDER BY day, account;
