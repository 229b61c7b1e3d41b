-- Which order goes as this one comes, where an exchange does both in one request.
ALTER TABLE orders ADD COLUMN replaces VARCHAR;
