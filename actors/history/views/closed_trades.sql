-- Closed trades with what they earned and how long they took, newest first.
-- Example: SELECT pair, profit_abs, exit_reason, minutes FROM closed_trades LIMIT 20;
CREATE OR REPLACE VIEW closed_trades AS
SELECT trade_id, account, pair, side, open_time, close_time, date_diff('second', open_time, close_time) / 60 AS minutes,
       open_rate, close_rate, amount, stake, leverage, profit_abs, profit_ratio, exit_reason, enter_tag, fees, run
FROM trades WHERE close_time IS NOT NULL
  AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') ORDER BY close_time DESC;
