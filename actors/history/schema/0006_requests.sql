-- How long an exchange took to answer each request.
ALTER TABLE requests ADD COLUMN took_ms DOUBLE;             -- until its answer was there; NULL where there was no way to go
