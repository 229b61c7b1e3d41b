-- Signals that led to nothing, and why: "why did it not buy?"
-- Example: SELECT ts, code, detail FROM why_not WHERE pair = 'BTC/USDT' ORDER BY ts DESC LIMIT 10;
CREATE OR REPLACE VIEW why_not AS
SELECT ts, account, pair, signal, code, detail, price, candle_time, tag, run
FROM decisions WHERE outcome IN ('denied', 'ignored', 'failed')
  AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest');
