-- Funding that futures positions paid or received, and its sum in each closed trade.

CREATE TABLE funding (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,               -- when it was booked
    pair VARCHAR NOT NULL,
    trade_id VARCHAR,
    payment_id VARCHAR NOT NULL,
    paid_at TIMESTAMP,                   -- when it was due at the venue
    received DECIMAL(38,18) NOT NULL,    -- negative: it was paid
    currency VARCHAR,
    rate DECIMAL(38,18),
    price DECIMAL(38,18),                -- the mark price it was reckoned at
    amount DECIMAL(38,18),               -- what was held
    late BOOLEAN,                        -- it came after its trade had closed, and is not in the trade's profit
    run INTEGER NOT NULL
);

ALTER TABLE trades ADD COLUMN funding_fees DECIMAL(38,18);
