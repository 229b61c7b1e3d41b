-- Stored backtests, newest first: what was run, on what, and what came of it; `metrics` in `runs` has every figure.
-- Example: SELECT run, strategy, trades, profit_abs, sharpe, max_drawdown FROM backtests LIMIT 10;
CREATE OR REPLACE VIEW backtests AS
SELECT run, started, strategy, fills, timeframe, data_from, data_to, currency, wallet,
       CAST(metrics->>'total_trades' AS INTEGER) AS trades,
       CAST(metrics->>'winrate' AS DOUBLE) AS winrate,
       CAST(metrics->>'profit_total_abs' AS DOUBLE) AS profit_abs,
       CAST(metrics->>'profit_total' AS DOUBLE) AS profit_ratio,
       CAST(metrics->>'cagr' AS DOUBLE) AS cagr,
       CAST(metrics->>'sharpe' AS DOUBLE) AS sharpe,
       CAST(metrics->>'sortino' AS DOUBLE) AS sortino,
       CAST(metrics->>'calmar' AS DOUBLE) AS calmar,
       CAST(metrics->>'profit_factor' AS DOUBLE) AS profit_factor,
       CAST(metrics->>'max_drawdown_account' AS DOUBLE) AS max_drawdown,
       CAST(metrics->>'market_change' AS DOUBLE) AS market_change,
       status
FROM runs WHERE mode = 'backtest' ORDER BY run;
