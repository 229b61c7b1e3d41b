-- Where one process trades on several accounts, whose each row is; '' where there is one, and for what all share.

ALTER TABLE trades ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE orders ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE fills ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE funding ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE decisions ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE equity ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE requests ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE restarts ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE candles ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE rounds ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE judgements ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE alerts ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE notices ADD COLUMN account VARCHAR DEFAULT '';
ALTER TABLE events ADD COLUMN account VARCHAR DEFAULT '';
