-- Stored backtests lie in the same tables as the bot's own trades; `runs` says which is which. Their runs are
-- numbered below 0, and so are their `seq`. What only they say is NULL for the bot's runs.

ALTER TABLE runs ADD COLUMN timeframe VARCHAR;
ALTER TABLE runs ADD COLUMN data_from TIMESTAMP;        -- the first candle
ALTER TABLE runs ADD COLUMN data_to TIMESTAMP;          -- the last candle
ALTER TABLE runs ADD COLUMN currency VARCHAR;           -- that money is counted in
ALTER TABLE runs ADD COLUMN wallet DECIMAL(38,18);      -- at its start
ALTER TABLE runs ADD COLUMN pairs VARCHAR;              -- JSON
ALTER TABLE runs ADD COLUMN settings VARCHAR;           -- JSON: the configuration
ALTER TABLE runs ADD COLUMN metrics VARCHAR;            -- JSON: every figure of the summary
