-- The history's tables. Times are UTC. Money is DECIMAL(38,18), exact to the digit. `seq` is the journal entry a
-- row comes from, `run` the number of the run. Every row can be made again from the journal.

CREATE TABLE trades (
    trade_id VARCHAR PRIMARY KEY,
    pair VARCHAR NOT NULL,
    side VARCHAR,
    open_time TIMESTAMP,
    close_time TIMESTAMP,                -- NULL while it is open
    open_rate DECIMAL(38,18),
    close_rate DECIMAL(38,18),
    amount DECIMAL(38,18),
    stake DECIMAL(38,18),
    leverage DECIMAL(38,18),
    fee_open DECIMAL(38,18),             -- ratio
    fee_close DECIMAL(38,18),            -- ratio
    realized DECIMAL(38,18),             -- by partial exits of an open trade
    profit_abs DECIMAL(38,18),
    profit_ratio DECIMAL(38,18),
    exit_reason VARCHAR,
    enter_tag VARCHAR,
    max_rate DECIMAL(38,18),
    min_rate DECIMAL(38,18),
    initial_stop DECIMAL(38,18),
    stop DECIMAL(38,18),
    fees VARCHAR,                        -- JSON: what was paid, by currency
    run INTEGER NOT NULL,
    seq BIGINT NOT NULL                  -- of the newest change
);

CREATE TABLE orders (
    client_order_id VARCHAR PRIMARY KEY,
    pair VARCHAR NOT NULL,
    trade_id VARCHAR,
    order_id VARCHAR,
    purpose VARCHAR,
    side VARCHAR,
    type VARCHAR,
    amount DECIMAL(38,18),
    price DECIMAL(38,18),
    trigger_price DECIMAL(38,18),
    time_in_force VARCHAR,
    reduce_only BOOLEAN,
    leverage DECIMAL(38,18),
    tag VARCHAR,
    status VARCHAR NOT NULL,
    filled DECIMAL(38,18) NOT NULL DEFAULT 0,
    cost DECIMAL(38,18) NOT NULL DEFAULT 0,
    intended_at TIMESTAMP,
    accepted_at TIMESTAMP,
    ended_at TIMESTAMP,
    reason VARCHAR,
    run INTEGER NOT NULL,
    seq BIGINT NOT NULL                  -- of the newest change
);

CREATE TABLE fills (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    pair VARCHAR NOT NULL,
    trade_id VARCHAR,
    client_order_id VARCHAR NOT NULL,
    order_id VARCHAR,
    fill_id VARCHAR NOT NULL,
    price DECIMAL(38,18) NOT NULL,
    amount DECIMAL(38,18) NOT NULL,
    fee DECIMAL(38,18) NOT NULL,
    fee_currency VARCHAR,
    maker BOOLEAN,
    run INTEGER NOT NULL
);

CREATE TABLE decisions (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    pair VARCHAR NOT NULL,
    candle_time TIMESTAMP,
    signal VARCHAR,                      -- enter_long, exit_long, …; stop, change for what the machine did itself
    outcome VARCHAR NOT NULL,            -- traded, denied, ignored, failed; opened, changed, moved, closed, rejected
    code VARCHAR,
    detail VARCHAR,
    trade_id VARCHAR,
    price DECIMAL(38,18),
    tag VARCHAR,
    run INTEGER NOT NULL
);

CREATE TABLE equity (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    free DECIMAL(38,18),
    tied DECIMAL(38,18),
    total DECIMAL(38,18),
    open_trades INTEGER,
    balances VARCHAR,                    -- JSON
    run INTEGER NOT NULL
);

CREATE TABLE requests (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    request VARCHAR NOT NULL,
    pair VARCHAR,
    client_order_id VARCHAR,
    waited_ms DOUBLE,                    -- for its permit
    outcome VARCHAR,
    run INTEGER NOT NULL
);

CREATE TABLE restarts (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    name VARCHAR NOT NULL,               -- of the actor or worker
    epoch INTEGER,                       -- of the incarnation that followed
    reason VARCHAR,
    trace VARCHAR,
    run INTEGER NOT NULL
);

CREATE TABLE candles (
    pair VARCHAR NOT NULL,
    timeframe_ms BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,               -- of its open
    open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE,
    seq BIGINT NOT NULL
);

CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    started TIMESTAMP,
    ended TIMESTAMP,                     -- NULL while it runs, or when it was killed
    status VARCHAR,
    strategy VARCHAR,
    mode VARCHAR,
    fills VARCHAR,                       -- fill model
    config_sha VARCHAR,
    version VARCHAR
);

CREATE TABLE rounds (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    round_time TIMESTAMP,
    present VARCHAR, granted VARCHAR, denied VARCHAR, late VARCHAR,
    took_ms DOUBLE,
    run INTEGER NOT NULL
);

CREATE TABLE judgements (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    candle_time TIMESTAMP,
    judged INTEGER, with_signal INTEGER, failed INTEGER,
    took_ms DOUBLE,
    run INTEGER NOT NULL
);

CREATE TABLE alerts (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,               -- gap, stale, …; JournalDamaged; a notification's event
    severity VARCHAR,
    pair VARCHAR,
    detail VARCHAR,
    count INTEGER,
    run INTEGER NOT NULL
);

-- Everything else that is recorded, as it is: locks, the kill switch, balances, capital.
CREATE TABLE events (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    writer VARCHAR NOT NULL,
    stream VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    body VARCHAR NOT NULL,               -- JSON
    run INTEGER NOT NULL
);
