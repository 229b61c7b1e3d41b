-- Why an order asks its price: by which rule, and the two sides of the book that it was made of.

ALTER TABLE orders ADD COLUMN priced VARCHAR;
ALTER TABLE orders ADD COLUMN bid DECIMAL(38,18);
ALTER TABLE orders ADD COLUMN ask DECIMAL(38,18);
ALTER TABLE orders ADD COLUMN quoted_at TIMESTAMP;
