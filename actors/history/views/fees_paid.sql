-- Fees paid, by pair and currency.
-- Example: SELECT fee_currency, sum(fee) FROM fees_paid GROUP BY fee_currency;
CREATE OR REPLACE VIEW fees_paid AS
SELECT account, pair, fee_currency, sum(fee) AS fee, count(*) AS fills FROM fills WHERE run NOT IN (SELECT run FROM runs WHERE mode = 'backtest') GROUP BY account, pair, fee_currency ORDER BY account, pair;
