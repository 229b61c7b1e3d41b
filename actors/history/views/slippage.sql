-- What entries and exits were filled at, against the price they were decided at; positive is worse than decided.
-- Example: SELECT purpose, avg(slippage_ratio) FROM slippage GROUP BY purpose;
CREATE OR REPLACE VIEW slippage AS
SELECT client_order_id, account, pair, purpose, side, type, price AS decided, CAST(cost / filled AS DOUBLE) AS average,
       CAST(CASE side WHEN 'buy' THEN 1 ELSE -1 END * (cost / filled / price - 1) AS DOUBLE) AS slippage_ratio, run
FROM orders WHERE filled > 0 AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') AND price > 0;
