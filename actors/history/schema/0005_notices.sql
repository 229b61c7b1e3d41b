-- What went to the user's own targets: a row a notice and target, once its fate is known.

CREATE TABLE notices (
    seq BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    target VARCHAR NOT NULL,             -- its name in [[notify.targets]]
    event VARCHAR,
    severity VARCHAR,
    text VARCHAR,
    outcome VARCHAR NOT NULL,            -- sent, failed (given up), dropped (too many waited, or the bot ended)
    reason VARCHAR,
    attempts INTEGER,
    waited_ms BIGINT,                    -- from the notice to its fate
    run INTEGER NOT NULL
);
