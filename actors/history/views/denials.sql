-- How often each reason kept a signal from being traded.
-- Example: SELECT * FROM denials;
CREATE OR REPLACE VIEW denials AS
SELECT account, code, outcome, count(*) AS times, count(DISTINCT pair) AS pairs, max(ts) AS last
FROM decisions WHERE outcome IN ('denied', 'ignored', 'failed')
  AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') GROUP BY account, code, outcome ORDER BY times DESC;
