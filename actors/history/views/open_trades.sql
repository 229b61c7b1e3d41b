-- Trades that are open now, oldest first.
-- Example: SELECT pair, side, open_rate, stop, enter_tag FROM open_trades;
CREATE OR REPLACE VIEW open_trades AS
SELECT trade_id, account, pair, side, open_time, open_rate, amount, stake, leverage, realized, stop, initial_stop, enter_tag, run
FROM trades WHERE close_time IS NULL AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') ORDER BY open_time;
