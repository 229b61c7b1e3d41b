-- What each run has earned by pair: live, paper, replays and stored backtests beside one another.
-- Example: SELECT mode, fills, sum(trades) AS trades, sum(profit_abs) AS profit FROM profit_by_run GROUP BY ALL;
CREATE OR REPLACE VIEW profit_by_run AS
SELECT run, t.account, r.mode, r.strategy, r.fills, t.pair, count(*) AS trades, count(*) FILTER (WHERE profit_abs > 0) AS wins,
       sum(profit_abs) AS profit_abs, avg(profit_ratio) AS profit_mean,
       avg(date_diff('second', open_time, close_time)) / 60 AS minutes
FROM trades t LEFT JOIN runs r USING (run) WHERE close_time IS NOT NULL GROUP BY ALL ORDER BY run, t.account, pair;
