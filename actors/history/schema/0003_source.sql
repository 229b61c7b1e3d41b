-- Where a run's rows come from: NULL is the journal; else what was imported, whose runs have numbers below 0.
ALTER TABLE runs ADD COLUMN source VARCHAR;
