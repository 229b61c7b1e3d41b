-- Locks that protections, strategies and users have made and lifted, newest first.
-- Example: SELECT ts, what, pair, until, reason FROM locks LIMIT 20;
CREATE OR REPLACE VIEW locks AS
SELECT ts, account, if(kind = 'PairLocked', 'made', 'lifted') AS what, body->>'pair' AS pair, body->>'side' AS side,
    epoch_ms(CAST(body->>'until' AS BIGINT)) AS until, body->>'reason' AS reason, run
FROM events WHERE kind IN ('PairLocked', 'PairUnlocked')
  AND run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') ORDER BY seq DESC;
