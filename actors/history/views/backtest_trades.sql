-- Closed trades of stored backtests, with their run's strategy and fill model.
-- Example: SELECT run, fills, exit_reason, count(*), sum(profit_abs) FROM backtest_trades GROUP BY ALL ORDER BY ALL;
CREATE OR REPLACE VIEW backtest_trades AS
SELECT t.run, r.strategy, r.fills, t.pair, t.side, t.open_time, t.close_time,
       date_diff('second', t.open_time, t.close_time) / 60 AS minutes, t.open_rate, t.close_rate, t.amount, t.stake,
       t.leverage, t.profit_abs, t.profit_ratio, t.exit_reason, t.enter_tag, t.trade_id
FROM trades t JOIN runs r USING (run) WHERE r.mode = 'backtest' AND t.close_time IS NOT NULL
ORDER BY t.run, t.close_time;
